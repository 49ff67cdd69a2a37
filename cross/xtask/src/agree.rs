//! Whether machines agree: the outputs that `escarp-run --json` reports, compared to the bit.

use std::{path::Path, process::Command};

use serde_json::Value;

use crate::{error::Error, job::Jobs, qemu};

/// What one machine said about some inputs.
pub struct Outputs {
    /// `host`, or QEMU's name of the CPU.
    pub machine: String,
    /// Kernels used.
    pub isa: String,
    /// The int8 outputs of each input, in order.
    pub values: Vec<Vec<i64>>,
    /// The names of the best labels.
    pub labels: Vec<String>,
    /// Their scores, 0 to 1.
    pub scores: Vec<f64>,
}

/// `escarp-run` on this machine.
pub fn host(jobs: &mut Jobs, program: &Path, model: &Path, files: &[String]) -> Result<Outputs, Error> {
    let log = jobs.run(&format!("{} on the host", count(files)), &mut run(Command::new(program), model, files))?;
    parse("host", &log)
}

/// `escarp-run` for aarch64 as `cpu` under QEMU.
pub fn board(jobs: &mut Jobs, program: &Path, cpu: &str, model: &Path, files: &[String]) -> Result<Outputs, Error> {
    let mut qemu = Command::new(qemu::user()?);
    qemu.args(["-cpu", cpu]).arg(program);
    let log = jobs.run(&format!("{} on {cpu} under QEMU", count(files)), &mut run(qemu, model, files))?;
    let outputs = parse(cpu, &log)?;
    // A run that fell back to the portable kernels would agree and prove nothing about the board's.
    match outputs.isa.as_str() {
        "neon" => Ok(outputs),
        isa => Err(Error::Rule(format!("{cpu}: ran {isa} kernels instead of neon"))),
    }
}

/// Fails at the first input on which the two differ.
pub fn same(a: &Outputs, b: &Outputs, files: &[String]) -> Result<(), Error> {
    if a.values.len() != files.len() || b.values.len() != files.len() {
        let counts = (a.values.len(), b.values.len(), files.len());
        return Err(Error::Rule(format!("{} and {} decided on {counts:?} inputs", a.machine, b.machine)));
    }
    for ((x, y), file) in a.values.iter().zip(&b.values).zip(files) {
        if x != y || x.is_empty() {
            return Err(Error::Rule(format!("{file}: {} says {x:?}, {} says {y:?}", a.machine, b.machine)));
        }
    }
    Ok(())
}

fn run(mut command: Command, model: &Path, files: &[String]) -> Command {
    command.arg("run").arg(model).arg("--json").args(files);
    command
}

fn count(files: &[String]) -> String {
    if files.len() == 1 { "1 input".into() } else { format!("{} inputs", files.len()) }
}

fn parse(machine: &str, log: &str) -> Result<Outputs, Error> {
    let mut outputs =
        Outputs { machine: machine.into(), isa: String::new(), values: vec![], labels: vec![], scores: vec![] };
    for line in log.lines() {
        let bad = || Error::Rule(format!("{machine}: not what escarp-run --json prints: {line}"));
        let value: Value = serde_json::from_str(line).map_err(|_| bad())?;
        let output = value["output"].as_array().ok_or_else(bad)?;
        outputs.values.push(output.iter().filter_map(Value::as_i64).collect());
        outputs.labels.push(value["label"].as_str().unwrap_or_default().into());
        outputs.scores.push(value["score"].as_f64().unwrap_or(f64::NAN));
        outputs.isa = value["isa"].as_str().ok_or_else(bad)?.into();
    }
    Ok(outputs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_step_of_difference_is_found() {
        let line = |q: i32| format!("{{\"output\":[3,{q}],\"label\":\"a\",\"isa\":\"neon\"}}\n");
        let files = ["f".to_string()];
        let (a, b) = (parse("host", &line(-128)).unwrap(), parse("cortex-a57", &line(-127)).unwrap());
        assert!(same(&a, &a, &files).is_ok());
        let error = same(&a, &b, &files).unwrap_err().to_string();
        assert_eq!(error, "f: host says [3, -128], cortex-a57 says [3, -127]");
        assert!(same(&a, &a, &["f".into(), "g".into()]).is_err(), "an input nobody decided on");
        assert!(parse("host", "label a").is_err());
    }
}
