// NVRTC that compiles a kernel's source for this host with g++, given the names of prelude.h.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <sstream>
#include <string>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

#include "blocks.h"

#define EXPORT extern "C" __attribute__((visibility("default")))

namespace fs = std::filesystem;
using emulated::ALONE, emulated::LOOP, emulated::MEET, emulated::Threads;

namespace {

enum Status { SUCCESS = 0, INVALID_INPUT = 3, COMPILATION = 6, NO_LOWERED_NAMES = 10, INTERNAL_ERROR = 11 };

struct Program {
  std::string source;
  std::string log, binary;
  std::vector<std::string> expressions;        // template instances that the caller asks for
  std::map<std::string, std::string> lowered;  // and the names that they got
};

Program* of(void* program) { return static_cast<Program*>(program); }

std::string content(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

bool has(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }

Threads threads_of(const std::string& source) {
  if (has(source, "__sync") || has(source, "__shfl") || has(source, "cub/")) return MEET;
  for (const char* each : {"threadIdx", "blockIdx", "blockDim", "gridDim"})
    if (has(source, each)) return ALONE;
  return LOOP;
}

// Shared memory: a block runs alone, so its threads may share a static variable; the part whose size
// the launch gives is one buffer.
std::string with_host_shared_memory(const std::string& source) {
  static const std::regex dynamic(
      R"(extern\s+__shared__\s+(?:__align__\(\d+\)\s*)?([\w:<> ]+?)\s+(\w+)\s*\[\s*\]\s*;)");
  static const std::regex fixed("__shared__");
  return std::regex_replace(std::regex_replace(source, dynamic, "$1* $2 = ($1*)emulated_shared;"), fixed,
                            "static");
}

// The functions by which modules.cpp reaches a kernel.
std::string entry(const std::string& name, const std::string& kernel) {
  return "extern \"C\" void call_" + name + "(void** p) { emulated_call(&" + kernel + ", p); }\n" +
         "extern \"C\" int sizes_" + name + "(unsigned* s) { return emulated_sizes(&" + kernel + ", s); }\n" +
         "extern \"C\" const char* signature_" + name + "() { return emulated_signature(&" + kernel + "); }\n";
}

std::string entries(Program& program, const std::string& source) {
  std::string all = "\nextern \"C\" const int emulated_threads;\nconst int emulated_threads = " +
                    std::to_string(threads_of(program.source)) + ";\n";
  static const std::regex kernel(
      R"(__global__\s+void\s+(?:__launch_bounds__\s*\([^)]*\)\s*)?(\w+)\s*\()");
  for (std::sregex_iterator each(source.begin(), source.end(), kernel), end; each != end; ++each) {
    const size_t at = each->position(), before = source.find_last_of(";}", at);
    const size_t start = before == std::string::npos ? 0 : before;
    const bool is_template = has(source.substr(start, at - start), "template");
    if (!is_template) all += entry((*each)[1], (*each)[1]);
  }
  for (const std::string& each : program.expressions) {
    const std::string name = "expression" + std::to_string(program.lowered.size());
    program.lowered[each] = name;
    all += entry(name, "(" + each + ")");
  }
  return all;
}

// The flags must be those with which build.py compiled prelude.h.
std::vector<std::string> command(const fs::path& folder, int count, const char** options) {
  std::stringstream flags(getenv("EMULATED_CUDA_FLAGS"));
  std::vector<std::string> all{"g++"};
  for (std::string each; flags >> each;) all.push_back(each);
  for (int each = 0; each < count; each++) {
    const std::string option = options[each];
    if (option.rfind("-I", 0) == 0 || option.rfind("-D", 0) == 0) all.push_back(option);
  }
  const std::string prelude = getenv("EMULATED_CUDA_PRELUDE");
  const std::string source = folder / "kernel.cpp", object = folder / "kernel.so";
  for (const std::string& each : {std::string("-include"), prelude, source}) all.push_back(each);
  for (const std::string& each : {std::string("-shared"), std::string("-o"), object}) all.push_back(each);
  all.push_back("-Wl,-Bsymbolic");
  return all;
}

int run(const std::vector<std::string>& arguments, const fs::path& log) {
  std::vector<char*> pointers;
  for (const std::string& each : arguments) pointers.push_back(const_cast<char*>(each.c_str()));
  pointers.push_back(nullptr);
  const pid_t child = fork();
  if (child == 0) {
    const int file = open(log.c_str(), O_WRONLY | O_CREAT, 0600);
    dup2(file, STDOUT_FILENO);
    dup2(file, STDERR_FILENO);
    execvp(pointers[0], pointers.data());
    _exit(127);
  }
  int status = -1;
  if (child > 0) waitpid(child, &status, 0);
  return status;
}

// Keeps what was to be compiled for real_nvrtc.py: the options and expressions as comments, and the
// source, under a name made from them.
void keep(const Program& program, int count, const char** options) {
  const fs::path folder = getenv("EMULATED_CUDA_SOURCES");
  std::string text;
  for (int each = 0; each < count; each++) text += std::string("// option: ") + options[each] + "\n";
  for (const std::string& each : program.expressions) text += "// expression: " + each + "\n";
  text += program.source;
  fs::create_directories(folder);
  std::ofstream(folder / (std::to_string(std::hash<std::string>()(text)) + ".cu")) << text;
}

}  // namespace

EXPORT const char* nvrtcGetErrorString(int status) {
  return status == SUCCESS       ? "NVRTC_SUCCESS"
         : status == COMPILATION ? "NVRTC_ERROR_COMPILATION"
                                 : "NVRTC_ERROR";
}
EXPORT int nvrtcVersion(int* major, int* minor) { return *major = 13, *minor = 2, SUCCESS; }
EXPORT int nvrtcGetNumSupportedArchs(int* count) { return *count = 1, SUCCESS; }
EXPORT int nvrtcGetSupportedArchs(int* architectures) { return *architectures = 90, SUCCESS; }
EXPORT int nvrtcCreateProgram(void** program, const char* source, const char*, int, const char**,
                              const char**) {
  return *program = new Program{source, "", "", {}, {}}, SUCCESS;
}
EXPORT int nvrtcDestroyProgram(void** program) {
  delete of(*program);
  *program = nullptr;
  return SUCCESS;
}
EXPORT int nvrtcAddNameExpression(void* program, const char* expression) {
  return of(program)->expressions.push_back(expression), SUCCESS;
}
EXPORT int nvrtcGetLoweredName(void* program, const char* expression, const char** name) {
  auto found = of(program)->lowered.find(expression);
  if (found == of(program)->lowered.end()) return NO_LOWERED_NAMES;
  return *name = found->second.c_str(), SUCCESS;
}
EXPORT int nvrtcGetProgramLogSize(void* program, size_t* size) {
  return *size = of(program)->log.size() + 1, SUCCESS;
}
EXPORT int nvrtcGetProgramLog(void* program, char* log) {
  return strcpy(log, of(program)->log.c_str()), SUCCESS;
}
// The shared object takes the place of both PTX and CUBIN.
EXPORT int nvrtcGetPTXSize(void* program, size_t* size) {
  return *size = of(program)->binary.size() + 1, SUCCESS;
}
EXPORT int nvrtcGetPTX(void* program, char* binary) {
  const std::string& from = of(program)->binary;
  return memcpy(binary, from.c_str(), from.size() + 1), SUCCESS;
}
EXPORT int nvrtcGetCUBINSize(void* program, size_t* size) {
  return *size = of(program)->binary.size(), SUCCESS;
}
EXPORT int nvrtcGetCUBIN(void* program, char* binary) {
  const std::string& from = of(program)->binary;
  return memcpy(binary, from.data(), from.size()), SUCCESS;
}
EXPORT int nvrtcGetLTOIRSize(void*, size_t*) { return INVALID_INPUT; }
EXPORT int nvrtcGetLTOIR(void*, char*) { return INVALID_INPUT; }

EXPORT int nvrtcCompileProgram(void* handle, int count, const char** options) {
  Program& program = *of(handle);
  if (!has(program.source, "__global__")) {  // CuPy asks for a preprocessed text, for its cache's key
    program.binary = "// emulated NVRTC\n";
    return SUCCESS;
  }
  keep(program, count, options);
  std::string pattern = (fs::temp_directory_path() / "emulated-nvrtc-XXXXXX").string();
  if (!mkdtemp(pattern.data())) return INTERNAL_ERROR;
  const fs::path folder = pattern;
  const std::string source = with_host_shared_memory(program.source);
  std::ofstream(folder / "kernel.cpp") << source << entries(program, source);
  const int status = run(command(folder, count, options), folder / "log");
  program.log = content(folder / "log");
  if (!status) program.binary = content(folder / "kernel.so");
  if (status && getenv("EMULATED_CUDA_KEEP"))
    fprintf(stderr, "emulated CUDA: %s\n%s\n", (folder / "kernel.cpp").c_str(), program.log.c_str());
  else
    fs::remove_all(folder);
  return status ? COMPILATION : SUCCESS;
}
