# What the compiled twin of _pure has: the same names.

from ._pure import IMPLEMENTATION as IMPLEMENTATION
from ._pure import Channel as Channel
from ._pure import FrameReader as FrameReader
from ._pure import MessageIterator as MessageIterator
from ._pure import Receiver as Receiver
from ._pure import apply_mask as apply_mask
from ._pure import serialize_frame as serialize_frame
from ._pure import serialize_head as serialize_head
