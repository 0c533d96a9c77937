message(FATAL_ERROR "configure with -DLEPTON_PYTHON=<a Python with numpy and fastavro>; tests/run.sh makes one")
