// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! A page of memory that is not there until it is filled: a task that copies
//! something into it stays where it is, inside the kernel, with all locks that it
//! holds (userfaultfd(2)).

use std::io::Read as _;
use std::net::TcpStream;
use std::num::NonZeroUsize;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};

use nix::errno::Errno;
use nix::libc::{self, c_int};
use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous, munmap};

// From include/uapi/linux/userfaultfd.h.
const UFFD_API: u64 = 0xaa;
const UFFD_EVENT_PAGEFAULT: u8 = 0x12;
const MODE_MISSING: u64 = 1;
nix::ioctl_readwrite!(uffdio_api, 0xaa, 0x3f, [u64; 3]);
nix::ioctl_readwrite!(uffdio_register, 0xaa, 0x00, [u64; 4]);
nix::ioctl_readwrite!(uffdio_zeropage, 0xaa, 0x04, [u64; 4]);
/// `struct uffd_msg`.
const MESSAGE: usize = 32;

const PAGE: usize = 4096;

/// Such a page.
pub struct SlowPage {
    faults: OwnedFd,
    at: usize,
}

impl SlowPage {
    pub fn missing() -> SlowPage {
        // SAFETY: it takes flags only.
        let fd = unsafe { libc::syscall(libc::SYS_userfaultfd, libc::O_CLOEXEC) };
        let fd = Errno::result(fd).expect("userfaultfd");
        // SAFETY: a descriptor of our own.
        let faults = unsafe { OwnedFd::from_raw_fd(c_int::try_from(fd).expect("small")) };
        let mut words = [UFFD_API, 0, 0];
        // SAFETY: the words are those of struct uffdio_api.
        unsafe { uffdio_api(faults.as_raw_fd(), &raw mut words) }.expect("UFFDIO_API");
        let length = NonZeroUsize::new(PAGE).expect("not 0");
        let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: fresh memory at a place of the kernel's choice, to which no reference
        // is ever made.
        let at = unsafe { mmap_anonymous(None, length, access, MapFlags::MAP_PRIVATE) };
        let at = at.expect("mmap").as_ptr() as usize;
        let mut words = [at as u64, PAGE as u64, MODE_MISSING, 0];
        // SAFETY: the words are those of struct uffdio_register.
        unsafe { uffdio_register(faults.as_raw_fd(), &raw mut words) }.expect("UFFDIO_REGISTER");
        SlowPage { faults, at }
    }

    /// Reads one byte from a connection, which takes until the page is filled.
    pub fn receive(&self, stream: &TcpStream) {
        let place = self.at as *mut libc::c_void;
        // SAFETY: the memory is there as long as self, and nobody else uses it.
        let read = unsafe { libc::recv(stream.as_raw_fd(), place, 1, 0) };
        assert_eq!(Errno::result(read).expect("recv"), 1);
    }

    /// Waits until somebody is held by it.
    pub fn wait_until_touched(&self) {
        let faults = self.faults.try_clone().expect("a descriptor");
        let mut message = [0; MESSAGE];
        std::fs::File::from(faults)
            .read_exact(&mut message)
            .expect("userfaultfd");
        assert_eq!(message[0], UFFD_EVENT_PAGEFAULT);
    }

    /// Lets them go on.
    pub fn fill(&self) {
        let mut words = [self.at as u64, PAGE as u64, 0, 0];
        // SAFETY: the words are those of struct uffdio_zeropage; nobody has a reference
        // to the page.
        unsafe { uffdio_zeropage(self.faults.as_raw_fd(), &raw mut words) }
            .expect("UFFDIO_ZEROPAGE");
    }
}

impl Drop for SlowPage {
    fn drop(&mut self) {
        let place = std::ptr::NonNull::new(self.at as *mut libc::c_void);
        if let Some(place) = place {
            // SAFETY: as mapped by missing(); nobody uses it any more.
            let unmapped = unsafe { munmap(place, PAGE) };
            debug_assert!(unmapped.is_ok());
        }
    }
}
