# Everything is in ./run; this is for those whose hands type make.
.PHONY: help demo demo-down test check bench

help demo demo-down test check bench:
	@./run $@
