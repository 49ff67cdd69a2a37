//! What a run shows on stderr: a bar on a terminal, plain lines elsewhere.

use std::{
    io::IsTerminal,
    time::{Duration, Instant},
};

use escarp_media::visible_lines;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// What has a class, and so what accuracy and loss are counted by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unit {
    /// Each sample.
    #[default]
    Samples,
    /// Each frame of each sample.
    Frames,
}

impl std::fmt::Display for Unit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Samples => "samples",
            Self::Frames => "frames",
        })
    }
}

/// Seconds between two plain lines within an epoch.
const PLAIN_INTERVAL: Duration = Duration::from_secs(30);

/// The figures of the moment.
#[derive(Clone, Copy, Debug, Default)]
pub struct Now {
    /// Mean loss of the epoch so far.
    pub loss: f64,
    /// Training accuracy of the epoch so far, 0 to 1.
    pub accuracy: f64,
    /// Of what.
    pub unit: Unit,
    /// Norm of all gradients of this step, before clipping.
    pub gradient_norm: f64,
    /// Training samples a second.
    pub samples_per_second: f64,
    /// Seconds to the end of the run.
    pub seconds_left: f64,
}

/// Shows one epoch after the other.
pub struct Progress {
    bar: Option<ProgressBar>,
    /// Says nothing.
    quiet: bool,
    spoke: Instant,
    title: String,
    steps: u64,
    /// The doctor's heat strip.
    strip: String,
}

impl Progress {
    /// A bar if stderr is a terminal, lines otherwise.
    pub fn new() -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(8));
            let style = ProgressStyle::with_template("{prefix} {wide_bar} {pos}/{len} {msg}");
            bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        });
        Self { bar, quiet: false, spoke: Instant::now(), title: String::new(), steps: 0, strip: String::new() }
    }

    /// Shows nothing: for a run that is a small part of something that shows its own progress.
    pub fn quiet() -> Self {
        Self { bar: None, quiet: true, ..Self::new() }
    }

    /// A line that stays (or some), control characters shown as escapes: names of files and classes stand in it.
    pub fn line(&self, text: impl AsRef<str>) {
        let text = visible_lines(text.as_ref());
        match &self.bar {
            Some(bar) => bar.suspend(|| eprintln!("{text}")),
            None if self.quiet => {}
            None => eprintln!("{text}"),
        }
    }

    /// Starts an epoch (or another pass) of `steps` steps.
    pub fn start(&mut self, title: String, steps: u64) {
        if let Some(bar) = &self.bar {
            bar.reset();
            bar.set_length(steps);
            bar.set_prefix(title.clone());
            bar.set_message("");
        }
        (self.title, self.steps, self.spoke) = (title, steps, Instant::now());
    }

    /// Whether there is a bar.
    pub fn is_terminal(&self) -> bool {
        self.bar.is_some()
    }

    /// The gradients' health in a line, to be shown until the next.
    pub fn health(&mut self, strip: String) {
        self.strip = strip;
    }

    /// After a step; `now` is what there is to tell of it, such as [`Now`].
    pub fn step(&mut self, done: u64, now: impl std::fmt::Display) {
        match &self.bar {
            Some(bar) => {
                bar.set_position(done);
                bar.set_message(match self.strip.is_empty() {
                    true => now.to_string(),
                    false => format!("{now}\n{}", self.strip),
                });
            }
            None if !self.quiet && self.spoke.elapsed() >= PLAIN_INTERVAL => {
                eprintln!("{} {done}/{} {now}", self.title, self.steps);
                if !self.strip.is_empty() {
                    eprintln!("  {}", self.strip);
                }
                self.spoke = Instant::now();
            }
            None => {}
        }
    }

    /// Removes the bar.
    pub fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

impl Default for Progress {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Display for Now {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { loss, accuracy, unit, gradient_norm, samples_per_second, seconds_left } = self;
        let accuracy = share(*accuracy, *unit);
        let left = clock(*seconds_left);
        write!(f, "loss {loss:.3} acc {accuracy} |g| {gradient_norm:.2} {samples_per_second:.0}/s {left} left")
    }
}

/// `93.1 %`, or `93.1 % of frames`; of samples, 0 to 1, needs no word.
pub fn share(share: f64, unit: Unit) -> String {
    let of = match unit {
        Unit::Samples => "",
        Unit::Frames => " of frames",
    };
    format!("{:.1} %{of}", 100.0 * share)
}

/// `1:02:03` or `2:03`.
pub fn clock(seconds: f64) -> String {
    let s = seconds.clamp(0.0, 1e7).round() as u64;
    match s / 3600 {
        0 => format!("{}:{:02}", s / 60, s % 60),
        hours => format!("{hours}:{:02}:{:02}", s / 60 % 60, s % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::clock;

    #[test]
    fn clocks() {
        assert_eq!(clock(0.2), "0:00");
        assert_eq!(clock(62.6), "1:03");
        assert_eq!(clock(3723.0), "1:02:03");
        assert_eq!(clock(f64::INFINITY), "2777:46:40");
    }
}
