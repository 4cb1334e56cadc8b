"""Runs a function of this process on an emulated processor with AVX-512 and its bf16 dot product (Sapphire Rapids).

The processor is that of Bochs, as the package bochscpu-python has it. It works on the memory of this process: linear addresses
are the process's own, and each GiB of them that is in use is mapped to a GiB of "physical" memory whose pages are those of
the process. emulated.c calls `install` once and then the entry it left for each part of a kernel, one at a time.
"""

import ctypes
import mmap
import os
import sys
import traceback

import bochscpu
import bochscpu.cpu
import bochscpu.memory

GIB_BITS = 30
PAGE = 4096
STACK_BYTES = 1 << 20
HALT = b"\xf4"
LIBC = ctypes.CDLL(None)

# Long mode with paging; SSE, AVX and AVX-512 enabled, rounding to nearest and no exceptions, as Linux starts a thread.
CR0, CR4, EFER, XCR0, MXCSR = 0x80050033, 0x406A0 | 0x600, 0xD01, 0xE7, 0x1F80
CODE, DATA = 0xA09B, 0xC093
PRESENT, HUGE = 7, 0x87


def use_sapphire_rapids():
    """The package's processor is a Cannon Lake, which has no bf16: its constructor becomes a jump to that of another model."""
    library = ctypes.CDLL(bochscpu._bochscpu.__file__)
    address = lambda name: ctypes.cast(getattr(library, name), ctypes.c_void_p).value
    old = address("_Z23create_corei3_cnl_cpuidP8BX_CPU_C")
    new = address("_Z28create_sapphire_rapids_cpuidP8BX_CPU_C")
    if LIBC.mprotect(ctypes.c_void_p(old & -PAGE), 2 * PAGE, mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC) != 0:
        raise OSError("mprotect")
    ctypes.memmove(old, b"\xe9" + (new - old - 5).to_bytes(4, "little", signed=True), 5)


def allocate(size):
    memory = mmap.mmap(-1, size)
    return memory, ctypes.addressof(ctypes.c_char.from_buffer(memory))


def segment(attributes, base=0):
    made = bochscpu.Segment()
    made.present, made.selector, made.base, made.limit, made.attr = True, 0x10, base, 0xFFFFFFFF, attributes
    return made


class Emulator:
    def __init__(self):
        # Page tables lie in the first GiB of physical memory, the process's regions in those after it.
        self.tables, self.tables_at = allocate(512 * PAGE)
        self.used_tables = 1
        self.slots = {}
        self.regions = [None]
        self.stack, self.stack_at = allocate(STACK_BYTES)
        self.halt, self.halt_at = allocate(PAGE)
        self.halt[:1] = HALT
        self.fault = None
        self.calls = 0
        self.session = bochscpu.Session()
        self.session.missing_page_handler = self.insert_page
        self.hook = bochscpu.Hook()
        self.hook.hlt = lambda session, cpu: session.stop()
        self.hook.exception = self.note_fault

    def entry(self, table, index):
        return ctypes.c_uint64.from_address(self.tables_at + PAGE * table + 8 * index)

    def map_region(self, region):
        slot = self.slots[region] = len(self.regions)
        self.regions.append(region)
        top = self.entry(0, region >> 9)
        if top.value == 0:
            top.value = self.used_tables * PAGE | PRESENT
            self.used_tables += 1
        self.entry(top.value >> 12, region & 511).value = slot << GIB_BITS | HUGE

    def map_process(self):
        with open("/proc/self/maps") as maps:
            for line in maps:
                bounds, rights = line.split(" ", 2)[:2]
                if rights[0] != "r" or len(bounds) > 25:
                    continue
                first, end = (int(bound, 16) for bound in bounds.split("-"))
                for region in range(first >> GIB_BITS, (end - 1 >> GIB_BITS) + 1):
                    if region not in self.slots:
                        self.map_region(region)

    def insert_page(self, physical):
        page = physical & -PAGE
        region = self.regions[page >> GIB_BITS]
        base = self.tables_at if region is None else region << GIB_BITS
        bochscpu.memory.page_insert(page, base + (page & (1 << GIB_BITS) - 1))

    def note_fault(self, session, cpu, vector, code):
        self.fault = f"exception {vector} ({code}) at {session.cpu.rip:#x}, cr2 {session.cpu.cr2:#x}"
        session.stop()

    def run(self, function, args, part_and_parts, scratch, thread):
        self.map_process()
        state = bochscpu.State()
        state.cr0, state.cr3, state.cr4, state.efer, state.xcr0 = CR0, 0, CR4, EFER, XCR0
        state.mxcsr, state.mxcsr_mask, state.fpcw, state.rflags = MXCSR, 0xFFFF, 0x37F, 2
        state.cs, state.fs = segment(CODE), segment(DATA, thread)
        state.ds = state.es = state.ss = state.gs = segment(DATA)
        state.rip, state.rdi, state.rsi, state.rdx = function, args, part_and_parts, scratch or 0
        state.rsp = self.stack_at + STACK_BYTES - 64 - 8
        ctypes.c_uint64.from_address(state.rsp).value = self.halt_at
        self.session.cpu.state = state
        self.session.run([self.hook])
        self.calls += 1
        if self.fault is not None:
            raise RuntimeError(self.fault)


def install(addon):
    use_sapphire_rapids()
    emulator = Emulator()

    def call(*values):
        try:
            emulator.run(*values)
        except BaseException:
            traceback.print_exc()
            sys.stderr.flush()
            os.abort()

    entry = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 2, ctypes.c_int64, *[ctypes.c_void_p] * 2)(call)
    install.kept = entry, emulator
    slot = ctypes.c_void_p.in_dll(ctypes.CDLL(addon), "qsparse_emulator")
    slot.value = ctypes.cast(entry, ctypes.c_void_p).value
