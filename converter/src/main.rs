//! `escarp-convert`: ONNX to one int8 file, and two questions to such files. Exit codes: 0 done, 1 a model or samples that cannot be
//! converted, or a file and a network that part, 2 bad usage.

use std::process::ExitCode;

fn main() -> ExitCode {
    escarp_converter::command::main()
}
