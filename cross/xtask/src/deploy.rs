//! From here to a real board.

use std::{path::Path, process::Command};

use crate::{board::Board, build, error::Error, job::Jobs, toolchain::Toolchain};

/// Copies escarp-run and the model to the board and times the model there. Without a host in the profile it prints the
/// commands: it never claims to have reached a board.
pub fn deploy(jobs: &mut Jobs, root: &Path, toolchain: &Toolchain, board: &Board, model: &Path) -> Result<(), Error> {
    if !model.is_file() {
        return Err(Error::Missing {
            what: model.display().to_string(),
            remedy: "a model is made by: escarp-convert model.onnx --samples FOLDER -o model.escarp".into(),
        });
    }
    let program = build::escarp_run(jobs, root, toolchain, &board.target)?;
    let set = !board.ssh.host.is_empty();
    let host = if set { board.ssh.host.as_str() } else { "USER@BOARD" };
    let folder = &board.ssh.directory;
    let file = model.file_name().unwrap_or_default().to_string_lossy();
    let mut commands = Vec::new();
    for arguments in [
        vec!["ssh".to_owned(), host.into(), format!("mkdir -p {}", quoted(folder))],
        vec!["scp".into(), program.display().to_string(), model.display().to_string(), format!("{host}:{folder}/")],
        vec![
            "ssh".into(),
            host.into(),
            format!("cd {} && ./escarp-run info {f} && ./escarp-run bench {f}", quoted(folder), f = quoted(&file)),
        ],
    ] {
        let mut command = Command::new(&arguments[0]);
        command.args(&arguments[1..]);
        commands.push((arguments, command));
    }
    if !set {
        println!(
            "no host is set for {} (key ssh.host in cross/boards/{}.toml); nothing was copied. The commands:",
            board.name, board.key
        );
        for (arguments, _) in &commands {
            println!("  {}", arguments.iter().map(|a| quoted(a)).collect::<Vec<_>>().join(" "));
        }
        return Ok(());
    }
    let mut last = String::new();
    for (arguments, mut command) in commands {
        println!("  {}", arguments.iter().map(|a| quoted(a)).collect::<Vec<_>>().join(" "));
        last = jobs.run(&format!("{} to {host}", arguments[0]), &mut command)?;
    }
    print!("{last}");
    Ok(())
}

/// A word for a POSIX shell.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./@:".contains(c);
    match !word.is_empty() && word.chars().all(plain) {
        true => word.into(),
        false => format!("'{}'", word.replace('\'', "'\\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn words_survive_a_shell() {
        for word in ["plain", "two words", "it's", "$HOME;x", ""] {
            let echoed = crate::job::answer("sh", &["-c", &format!("printf %s {}", quoted(word))]).unwrap();
            assert_eq!(echoed, word);
        }
    }
}
