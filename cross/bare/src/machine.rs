//! QEMU's `virt` machine: start-up, serial port, end. The only place of the image that needs `unsafe`.
#![allow(unsafe_code, reason = "start-up code and device registers")]

use core::{
    arch::{asm, global_asm},
    fmt,
};

use crate::program;

// At reset the vector unit traps and the MMU is off. Without the MMU all memory is Device memory, where an unaligned
// vector load faults (Armv8-A reference manual, B2.7.2), so two 1 GiB blocks are mapped onto themselves:
// devices below 1 GiB, and RAM (Normal, write-back, index 1 of MAIR_EL1) above.
global_asm!(
    r#"
    .section .text.start, "ax"
    .global _start
_start:
    ldr x0, =stack_top
    mov sp, x0
    ldr x0, =vectors
    msr vbar_el1, x0
    mov x0, #(3 << 20)                  // CPACR_EL1.FPEN: no traps for vector instructions
    msr cpacr_el1, x0
    ldr x0, =0xff00                     // MAIR_EL1: 0 Device-nGnRnE, 1 Normal write-back
    msr mair_el1, x0
    ldr x0, =0x803519                   // TCR_EL1: 39 address bits, 4 KiB granule, write-back walks, no TTBR1
    msr tcr_el1, x0
    ldr x0, =translation
    msr ttbr0_el1, x0
    isb
    mrs x0, sctlr_el1
    ldr x1, =0x1005                     // M, C, I: MMU and both caches
    orr x0, x0, x1
    msr sctlr_el1, x0
    isb
    ldr x0, =bss_start
    ldr x1, =bss_end
0:  cmp x0, x1
    b.hs 1f
    str xzr, [x0], #8
    b 0b
1:  bl {main}

    .balign 2048
vectors:
    .rept 16
    .balign 128
    b {fault}
    .endr

    .section .rodata.translation, "a"
    .balign 4096
translation:
    .quad 0x0060000000000401            // 0 GiB: block, accessed, never executed, attribute 0
    .quad 0x0000000040000705            // 1 GiB: block, accessed, inner shareable, attribute 1
    .fill 510, 8, 0
    "#,
    main = sym start,
    fault = sym fault,
);

/// Base of the PL011 serial port: its data register takes a byte at a time.
const UART: *mut u32 = 0x0900_0000 as *mut u32;

/// Text goes to the serial port.
pub struct Serial;

impl fmt::Write for Serial {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            // SAFETY: the port is mapped at this address on the only machine that this image is for.
            unsafe { UART.write_volatile(u32::from(byte)) };
        }
        Ok(())
    }
}

/// Ends QEMU with `status`: semihosting call SYS_EXIT (0x18), reason ADP_Stopped_ApplicationExit.
pub fn exit(status: u64) -> ! {
    let block = [0x20026, status];
    // SAFETY: the call reads the two words of `block` and does not return.
    unsafe { asm!("hlt #0xf000", in("x0") 0x18, in("x1") block.as_ptr(), options(noreturn)) }
}

extern "C" fn start() -> ! {
    exit(program::run(&mut Serial))
}

/// Any exception: nothing here can mend it.
extern "C" fn fault() -> ! {
    exit(3)
}

// The Linux target takes these from its C library, which is not here. Written in assembly because a compiler turns such
// loops, written in Rust, into calls to the very functions. (`aarch64-unknown-none` brings its own.)
#[cfg(target_os = "linux")]
global_asm!(
    r#"
    .text
    .global memcpy, memmove, memset, memcmp, bcmp
memcpy:
memmove:
    cmp x0, x1
    b.hi 2f
    mov x3, x0
0:  cbz x2, 1f
    ldrb w4, [x1], #1
    strb w4, [x3], #1
    sub x2, x2, #1
    b 0b
1:  ret
2:  cbz x2, 1b                          // target above source: from the end
    sub x2, x2, #1
    ldrb w4, [x1, x2]
    strb w4, [x0, x2]
    b 2b
memset:
    mov x3, x0
0:  cbz x2, 1f
    strb w1, [x3], #1
    sub x2, x2, #1
    b 0b
1:  ret
memcmp:
bcmp:
0:  cbz x2, 1f
    ldrb w3, [x0], #1
    ldrb w4, [x1], #1
    sub x2, x2, #1
    subs w5, w3, w4
    b.eq 0b
    mov w0, w5
    ret
1:  mov w0, #0
    ret
    "#
);
