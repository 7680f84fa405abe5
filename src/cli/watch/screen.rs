//! Lines that are written anew in their place: plain ANSI, on a terminal alone.

use crate::cli::print;

/// The lines that stand there now.
#[derive(Debug, Default)]
pub(super) struct Screen {
    lines: usize,
}

impl Screen {
    /// Writes the picture over the last one.
    pub(super) fn draw(&mut self, picture: &[String]) {
        let mut text = self.back();
        for line in picture {
            text += &format!("{line}\x1b[K\n");
        }
        // What the last picture had more.
        text += "\x1b[J";
        print::out(&text);
        self.lines = picture.len();
    }

    /// What is written from now on stands below.
    pub(super) fn leave(&mut self) {
        self.lines = 0;
    }

    fn back(&self) -> String {
        if self.lines == 0 { String::new() } else { format!("\x1b[{}A\r", self.lines) }
    }
}
