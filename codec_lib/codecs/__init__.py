"""One room per codec, all behind the protocol of `codec_lib.codecs.protocol`."""
