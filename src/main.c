#include "cmd/command.h"

int main(int argc, char **argv) { return lp_command_main(argc, argv); }
