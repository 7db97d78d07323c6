"""The figures that Tiphys is judged by: `python -m bench [ROWS ...]`, one module a group of rows."""
