//! Sockets to machines: the only code here that waits.
