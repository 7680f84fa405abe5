//! The one logger of the process: it decides what is shown, and writes it. On every thread.

use super::directives::OWN;
use super::line::{Line, Reader, Shape, Style};
use super::repeats::{Count, Repeats, Said, Verdict};
use super::{Changed, Directives, Format, Settings, Shown};
use crate::domain::Timestamp;
use crate::threads::Errand;
use log::{Level, Log, Metadata, Record};
use std::fs::File;
use std::io::{self, IsTerminal as _, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant, SystemTime};

/// gRPC's core names no target, and what it says below an error is for those who work on it.
const GRPC: &str = "grpcio::log_util";
/// `DEVICE:INODE` of what the service manager has connected to the journal (systemd.exec(5)).
const JOURNAL_STREAM: &str = "JOURNAL_STREAM";

/// See the room's face.
pub(super) struct Writer {
    reader: Reader,
    levels: RwLock<Levels>,
    repeats: Mutex<Repeats>,
    /// Lines that standard error did not take.
    unwritten: AtomicU64,
}

/// What is shown, and how.
struct Levels {
    settings: Settings,
    shape: Shape,
    /// Those that somebody set at run time.
    set: Option<Set>,
    /// env_logger's reading of those that hold.
    filter: env_logger::Logger,
}

struct Set {
    level: Directives,
    changed: Changed,
    until: Option<Instant>,
}

impl Levels {
    fn of(settings: Settings, set: Option<Set>) -> Self {
        let shape = match settings.format {
            Format::Json => Shape::Json,
            Format::Text => Shape::Text,
            Format::Auto if io::stderr().is_terminal() => Shape::Text,
            Format::Auto => Shape::Json,
        };
        let filter = filter(set.as_ref().map_or(&settings.level, |set| &set.level));
        Self { settings, shape, set, filter }
    }
}

/// What env_logger makes of directives.
fn filter(directives: &Directives) -> env_logger::Logger {
    let (own, foreign, modules) = directives.levels();
    let mut builder = env_logger::Builder::new();
    builder.filter_level(foreign).filter_module(OWN, own);
    for (module, level) in modules {
        builder.filter_module(module, level);
    }
    builder.build()
}

impl Writer {
    pub(super) fn new(settings: Settings) -> Self {
        let reader = if stderr_is_the_journal() { Reader::Journal } else { Reader::Plain };
        let levels = RwLock::new(Levels::of(settings, None));
        Self { reader, levels, repeats: Mutex::default(), unwritten: AtomicU64::new(0) }
    }

    /// The `log` crate asks this logger from now on.
    pub(super) fn open(&self) {
        log::set_max_level(self.read(|levels| levels.filter.filter()));
    }

    pub(super) fn configure(&self, settings: Settings) {
        self.change(Levels::of(settings, None));
    }

    pub(super) fn show(&self, level: Directives, changed: Changed, span: Option<Duration>) {
        let until = span.map(|span| Instant::now() + span);
        let settings = self.read(|levels| levels.settings.clone());
        self.change(Levels::of(settings, Some(Set { level, changed, until })));
    }

    pub(super) fn restore(&self) {
        let settings = self.read(|levels| levels.settings.clone());
        self.change(Levels::of(settings, None));
    }

    pub(super) fn shown(&self) -> Shown {
        self.end_in_time();
        self.read(|levels| {
            let configured = levels.settings.level.to_string();
            match &levels.set {
                Some(set) => Shown { level: set.level.to_string(), configured, changed: Some(set.changed.clone()) },
                None => Shown { level: configured.clone(), configured, changed: None },
            }
        })
    }

    pub(super) fn tidy(&self) {
        self.end_in_time();
        let due = self.repeats.lock().unwrap_or_else(PoisonError::into_inner).due(Instant::now());
        self.say(&due);
    }

    pub(super) fn finish(&self) {
        let rest = self.repeats.lock().unwrap_or_else(PoisonError::into_inner).rest(Instant::now());
        self.say(&rest);
    }

    fn read<T>(&self, look: impl FnOnce(&Levels) -> T) -> T {
        look(&self.levels.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn change(&self, levels: Levels) {
        let most = levels.filter.filter();
        *self.levels.write().unwrap_or_else(PoisonError::into_inner) = levels;
        log::set_max_level(most);
    }

    /// Levels that were set for a time end with it.
    fn end_in_time(&self) {
        let is_over = |levels: &Levels| levels.set.as_ref().and_then(|set| set.until).is_some_and(|until| until <= Instant::now());
        if self.read(is_over) {
            self.restore();
            log::info!("the log shows again what the configuration says: the time is over for which other levels were set");
        }
    }

    fn say(&self, counts: &[Count]) {
        for count in counts {
            let words = count.words();
            let repeated = Some(count.times);
            let (level, target, thread, errand) = (count.level, count.target.as_str(), count.thread.as_str(), &count.errand);
            self.write(&Line { at: Timestamp::from(SystemTime::now()), level, target, thread, errand, message: &words, repeated });
        }
    }

    /// One line with one call, so that lines of several threads do not mix.
    fn write(&self, line: &Line<'_>) {
        let style = Style { shape: self.read(|levels| levels.shape), reader: self.reader };
        let mut text = line.written(style);
        let unwritten = self.unwritten.swap(0, Ordering::Relaxed);
        if unwritten > 0 {
            let message = format!("{unwritten} lines of this log could not be written");
            let lost = Line { level: Level::Error, message: &message, repeated: None, ..line.clone() };
            text.insert_str(0, &lost.written(style));
        }
        if io::stderr().lock().write_all(text.as_bytes()).is_err() {
            self.unwritten.fetch_add(unwritten + 1, Ordering::Relaxed);
        }
    }
}

impl Log for Writer {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.read(|levels| levels.filter.enabled(metadata))
    }

    fn log(&self, record: &Record<'_>) {
        let is_grpc = record.module_path() == Some(GRPC);
        if (is_grpc && record.level() > Level::Error) || !self.read(|levels| levels.filter.matches(record)) {
            return;
        }
        let errand = Errand::current();
        let message = errand.veiled(record.args().to_string());
        let current = std::thread::current();
        let said = Said {
            level: record.level(),
            target: if is_grpc { "grpc" } else { record.target() },
            place: (record.file().unwrap_or_default(), record.line().unwrap_or_default()),
            text: &message,
            errand: &errand,
            thread: current.name().unwrap_or("unnamed"),
        };
        let (verdict, due) = self.repeats.lock().unwrap_or_else(PoisonError::into_inner).judge(&said, Instant::now());
        self.say(&due);
        if verdict == Verdict::Shown {
            let Said { level, target, thread, .. } = said;
            let at = Timestamp::from(SystemTime::now());
            self.write(&Line { at, level, target, thread, errand: &errand, message: &message, repeated: None });
        }
    }

    fn flush(&self) {
        self.tidy();
    }
}

/// Whether what this process writes to standard error goes to the journal, and not to whom somebody has redirected it since.
fn stderr_is_the_journal() -> bool {
    let Some(stream) = std::env::var(JOURNAL_STREAM).ok() else { return false };
    let stderr = io::stderr().as_fd().try_clone_to_owned().and_then(|stderr| File::from(stderr).metadata());
    stderr.is_ok_and(|stderr| stream == format!("{}:{}", stderr.dev(), stderr.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use log::LevelFilter;

    fn settings(level: &str) -> Settings {
        Settings { level: Directives::parse(level).unwrap(), format: Format::Json }
    }

    fn shows(writer: &Writer, target: &str, level: Level) -> bool {
        writer.enabled(&Metadata::builder().target(target).level(level).build())
    }

    #[test]
    fn the_longest_path_decides_and_other_crates_are_capped() {
        let writer = Writer::new(settings("debug,axion_agent::docker=trace,axion_agent::docker::deploy=warn,librdkafka=off"));
        for (target, level, shown) in [
            ("axion_agent::kafka", Level::Debug, true),
            ("axion_agent::kafka", Level::Trace, false),
            ("axion_agent::docker::lane", Level::Trace, true),
            ("axion_agent::docker::deploy::apply", Level::Info, false),
            ("axion_agent::docker::deploy::apply", Level::Warn, true),
            ("ureq::run", Level::Debug, false),
            ("ureq::run", Level::Info, true),
            ("librdkafka", Level::Error, false),
        ] {
            assert_eq!(shows(&writer, target, level), shown, "{target} {level}");
        }
        let writer = Writer::new(settings("warn"));
        assert!(!shows(&writer, "ureq", Level::Info) && shows(&writer, "ureq", Level::Warn));
        assert_eq!(writer.read(|levels| levels.filter.filter()), LevelFilter::Warn);
    }

    #[test]
    fn levels_that_were_set_end_with_a_reload_a_restore_or_their_time() {
        let writer = Writer::new(settings("info"));
        let changed = || Changed { at: Timestamp::from_millis(1), by: "uid:0".to_owned(), until: None };
        let debug = || Directives::parse("debug").unwrap();
        let is_set = || writer.shown().changed.is_some() && writer.shown().level == "debug" && shows(&writer, OWN, Level::Debug);
        for end in [&(|| writer.restore()) as &dyn Fn(), &|| writer.configure(settings("info"))] {
            writer.show(debug(), changed(), None);
            assert!(is_set());
            end();
            let plain = Shown { level: "info".to_owned(), configured: "info".to_owned(), changed: None };
            assert_eq!((writer.shown(), shows(&writer, OWN, Level::Debug)), (plain, false));
        }
        writer.show(debug(), changed(), Some(Duration::from_secs(3600)));
        writer.tidy();
        assert!(is_set());
        writer.show(debug(), changed(), Some(Duration::ZERO));
        writer.tidy();
        assert!(!is_set() && writer.shown().level == "info");
    }
}
