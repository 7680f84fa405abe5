//! How the C library's heap behaves in this process: set once, before there is a second thread.

/// What is free at the end of the heap goes back to the system beyond this, in bytes: a command's memory is asked for
/// again by the next one.
#[cfg(target_env = "gnu")]
const TRIM: libc::c_int = 512 * 1024;

/// Lets all threads share one heap. glibc gives each an arena of its own, which grows by a page with each call of the system and is
/// given back as soon: a deploy of fifty services made three hundred such calls. Our threads mostly wait; they do not
/// stand in each other's way.
pub fn share() {
    // SAFETY: it takes numbers alone, and whether it takes them is no matter.
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
        libc::mallopt(libc::M_TRIM_THRESHOLD, TRIM);
    }
}
