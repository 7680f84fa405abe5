//! The memory that this process keeps: how the C library's heap behaves, set once before there is a second thread, and the pages of the
//! program's own file, which the coordinator gives back now and then.

#[cfg(target_env = "musl")]
mod heap;

use std::ptr;

/// What is free at the end of the heap goes back to the system beyond this, in bytes: a command's memory is asked for
/// again by the next one.
#[cfg(target_env = "gnu")]
const TRIM: libc::c_int = 512 * 1024;

/// No page of x86_64 or of any aarch64 kernel is larger: what is given back is whole pages on each.
const PAGE: u64 = 64 << 10;

/// Lets all threads share one heap. glibc gives each an arena of its own, which grows by a page with each call of the system and is
/// given back as soon: a deploy of fifty services made three hundred such calls. Our threads mostly wait; they do not
/// stand in each other's way.
pub fn share_heap() {
    // SAFETY: it takes numbers alone, and whether it takes them is no matter.
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
        libc::mallopt(libc::M_TRIM_THRESHOLD, TRIM);
    }
}

/// Gives back the pages of the program's code and constants that are mapped; those that are used are there again with their first use, from the
/// kernel's cache. The kernel maps sixteen pages for each that is used and takes none away: what a start or a deploy has touched once would
/// count as resident for ever, which is two thirds of an idle agent.
pub fn give_back_pages() {
    // SAFETY: the function fits, and gets no data.
    unsafe { libc::dl_iterate_phdr(Some(give_back), ptr::null_mut()) };
}

/// Called for each loaded object, the program itself first: it ends the walk there.
unsafe extern "C" fn give_back(object: *mut libc::dl_phdr_info, _size: libc::size_t, _data: *mut libc::c_void) -> libc::c_int {
    // SAFETY: whoever walks hands over a description that lives until this returns.
    let object = unsafe { &*object };
    // SAFETY: the list is the object's own, and as long as it says.
    let segments = unsafe { std::slice::from_raw_parts(object.dlpi_phdr, usize::from(object.dlpi_phnum)) };
    // Only what nobody can have written to: other segments hold what the loader has filled in, also where they are closed after that.
    let is_constant = |segment: &&libc::Elf64_Phdr| segment.p_type == libc::PT_LOAD && segment.p_flags & libc::PF_W == 0;
    for segment in segments.iter().filter(is_constant) {
        let begin = object.dlpi_addr.wrapping_add(segment.p_vaddr);
        let first = begin.next_multiple_of(PAGE);
        let end = begin.wrapping_add(segment.p_filesz) / PAGE * PAGE;
        if first < end {
            let (first, length) = (ptr::with_exposed_provenance_mut(first as usize), (end - first) as usize);
            // SAFETY: whole pages of a file, mapped so that nobody can write to them: the kernel reads them again as they are. An error
            // means that they stay.
            unsafe { libc::madvise(first, length, libc::MADV_DONTNEED) };
        }
    }
    1
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The resident pages of files, in KiB (proc_pid_status(5)).
    fn of_files() -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("RssFile:")).unwrap();
        line.split_whitespace().next().unwrap().parse().unwrap()
    }

    #[test]
    fn code_that_is_given_back_is_there_when_it_is_called() {
        // Other tests run beside this one, and map theirs meanwhile.
        let is_less = || {
            let before = of_files();
            give_back_pages();
            of_files() < before
        };
        assert!((0..10).any(|_| is_less()), "{} KiB", of_files());
        assert_eq!(format!("{:.1}", 2.0_f64.sqrt()), "1.4");
    }
}
