//! Where and when a result was made.

use std::time::{SystemTime, UNIX_EPOCH};

/// Processor, its threads, system: `AMD EPYC, 2 threads, x86_64-linux`.
pub fn machine() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let (arch, system) = (std::env::consts::ARCH, std::env::consts::OS);
    format!("{}, {threads} threads, {arch}-{system}", processor(&info))
}

/// As Linux tells it; on Arm it tells only numbers.
fn processor(info: &str) -> &str {
    let named = |line: &'_ str| line.starts_with("model name");
    let line = info.lines().find(|line| named(line)).and_then(|line| line.split_once(':'));
    line.map_or("unknown processor", |(_, name)| name.trim())
}

/// Today in UTC, `2026-01-31`.
pub fn date() -> String {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |t| t.as_secs());
    civil(seconds / 86_400)
}

/// The day `days` after 1 January 1970.
fn civil(days: u64) -> String {
    // Days of a year and of its months are counted down: at most some hundred rounds.
    let leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let (mut year, mut day) = (1970, days);
    while day >= 365 + u64::from(leap(year)) {
        day -= 365 + u64::from(leap(year));
        year += 1;
    }
    let mut month = 1;
    for days in [31, 28 + u64::from(leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30] {
        if day < days {
            break;
        }
        day -= days;
        month += 1;
    }
    format!("{year}-{month:02}-{:02}", day + 1)
}

#[cfg(test)]
mod tests {
    use super::{civil, processor};

    #[test]
    fn days_of_the_calendar() {
        // By `date -u -d @SECONDS +%F`.
        for (days, date) in [
            (0, "1970-01-01"),
            (58, "1970-02-28"),
            (59, "1970-03-01"),
            (11_016, "2000-02-29"),
            (11_322, "2000-12-31"),
            (47_540, "2100-02-28"),
            (47_541, "2100-03-01"),
        ] {
            assert_eq!(civil(days), date);
        }
    }

    #[test]
    fn processors() {
        assert_eq!(processor("processor\t: 0\nmodel name\t: A B: C\n"), "A B: C");
        assert_eq!(processor("CPU part\t: 0xd08\n"), "unknown processor");
    }
}
