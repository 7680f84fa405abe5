#!/bin/sh
# plain.sh: symbols, one on a line, as the list of functions names them: those of C and C++ as they are; those of Rust, which hold
# numbers that change with each version of a crate, as c++filt writes them and without these.
exec sed -E '/^_R/!s/^/=/' | c++filt | sed -E 's/^=//; s/\[[0-9a-f]{10,16}\]//g'
