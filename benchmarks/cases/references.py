"""Where the other frameworks are, for the cases that compare with them."""

from ..environments import Apart, Here

FASTSTREAM = Here(needs="faststream")
UVLOOP = Here(needs="uvloop")
DISPYTCH_0X = Apart("dispytch-0.11.0", ("dispytch[kafka,rabbitmq]==0.11.0",), "3.13")
