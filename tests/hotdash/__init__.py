"""The library's modules, one file each: plain functions over plain values, and the Fly client over its seams."""
