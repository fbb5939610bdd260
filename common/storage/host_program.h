#ifndef HOLDFAST_COMMON_STORAGE_HOST_PROGRAM_H_
#define HOLDFAST_COMMON_STORAGE_HOST_PROGRAM_H_

namespace holdfast {

namespace host {

// How the program is started: with one of these, a directory, and the version of what starts it.
// Its control socket is this descriptor.
inline constexpr char kProgramName[] = "holdfast-host";
inline constexpr char kServeArgument[] = "--host-destination";
inline constexpr char kMakeFolderArgument[] = "--make-destination";
inline constexpr int kControlFd = 3;

}  // namespace host

// All that holdfast-host does: it works on one directory for the program that has started it
// (host_process.h), until that closes the control socket. It refuses one of another version, which
// may mean other things by what it says. Returns the exit code.
//
// A program of its own, for each run and many commands start one: it has neither the code nor the
// libraries of the others, and so begins in a millisecond or two where those need many.
int RunHostProgram(int argc, const char* const* argv);

}  // namespace holdfast

#endif  // HOLDFAST_COMMON_STORAGE_HOST_PROGRAM_H_
