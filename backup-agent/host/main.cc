// holdfast-host: works on one directory for the agent or the command line, which start it.

#include "common/storage/host_program.h"

int main(int argc, char** argv) { return holdfast::RunHostProgram(argc, argv); }
