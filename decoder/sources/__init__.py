"""Where frames come from: each source is one module, all of them fulfil ``protocol.ImageSource``."""
