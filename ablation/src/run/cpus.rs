//! Processors of the runner and of the measured processes. Pinned processes run on the last allowed processor, and the
//! runner on the others when there are any.

use std::io;

/// Processors of the runner and of the measured processes.
#[derive(Clone, Copy)]
pub(crate) struct Cpus {
    /// All processors that this process may use.
    pub(super) allowed: libc::cpu_set_t,
    /// The processor of pinned processes, alone.
    pub(super) pinned: libc::cpu_set_t,
    /// Its number.
    pub(crate) pinned_cpu: usize,
}

impl Cpus {
    /// Reads the allowed processors and moves the runner off the last one.
    ///
    /// # Errors
    /// The system's error.
    pub(crate) fn take() -> io::Result<Cpus> {
        let cpus = Cpus::read()?;
        let mut rest = cpus.allowed;
        // SAFETY: the number is below CPU_SETSIZE, from a loop over the set.
        unsafe { libc::CPU_CLR(cpus.pinned_cpu, &mut rest) };
        // SAFETY: the set is initialised.
        if unsafe { libc::CPU_COUNT(&rest) } > 0 {
            // SAFETY: the set and its size belong together.
            let result = unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &rest) };
            if result != 0 {
                return Err(io::Error::last_os_error());
            }
        }
        Ok(cpus)
    }

    /// Lets the runner use all allowed processors again.
    ///
    /// # Errors
    /// The system's error.
    pub(crate) fn allow(&self) -> io::Result<()> {
        // SAFETY: the set and its size belong together.
        match unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &self.allowed) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// The processor of pinned processes, alone.
    pub(crate) fn pinned(&self) -> libc::cpu_set_t {
        self.pinned
    }

    /// One other allowed processor, alone; `None` when there is none.
    pub(crate) fn neighbour(&self) -> Option<libc::cpu_set_t> {
        // SAFETY: the numbers are below CPU_SETSIZE.
        let is_allowed = |cpu: &usize| unsafe { libc::CPU_ISSET(*cpu, &self.allowed) };
        let other = (0..libc::CPU_SETSIZE as usize).find(|cpu| *cpu != self.pinned_cpu && is_allowed(cpu))?;
        // SAFETY: all zeros is the empty set.
        let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
        // SAFETY: the number is below CPU_SETSIZE.
        unsafe { libc::CPU_SET(other, &mut set) };
        Some(set)
    }

    /// Takes the contention probe, in nanoseconds per step; on the processor of pinned processes when `pinned`. `None`
    /// when the system does not let the runner use that processor.
    pub(super) fn contention_probe_ns(&self, pinned: bool) -> Option<f64> {
        if !pinned {
            return Some(ablate_probe::contention_probe_ns());
        }
        let own = Cpus::read().ok()?.allowed;
        let move_to = |cpus: &libc::cpu_set_t| {
            // SAFETY: the set and its size belong together.
            unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), cpus) == 0 }
        };
        if !move_to(&self.pinned) {
            return None;
        }
        let taken = ablate_probe::contention_probe_ns();
        move_to(&own).then_some(taken)
    }

    /// Reads the allowed processors.
    ///
    /// # Errors
    /// The system's error.
    pub(crate) fn read() -> io::Result<Cpus> {
        // SAFETY: all zeros is the empty set.
        let mut allowed: libc::cpu_set_t = unsafe { std::mem::zeroed() };
        // SAFETY: the set and its size belong together.
        if unsafe { libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &mut allowed) } != 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the numbers are below CPU_SETSIZE.
        let is_allowed = |cpu: &usize| unsafe { libc::CPU_ISSET(*cpu, &allowed) };
        let last = (0..libc::CPU_SETSIZE as usize).rev().find(is_allowed);
        let pinned_cpu = last.ok_or_else(|| io::Error::other("no processor is allowed"))?;
        // SAFETY: all zeros is the empty set.
        let mut pinned: libc::cpu_set_t = unsafe { std::mem::zeroed() };
        // SAFETY: the number is below CPU_SETSIZE.
        unsafe { libc::CPU_SET(pinned_cpu, &mut pinned) };
        Ok(Cpus { allowed, pinned, pinned_cpu })
    }
}
