// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.observe;

import org.vmemmap.arch.x86.X86Geometry;
import org.vmemmap.arch.x86.X86PageTable;
import org.vmemmap.machine.Machine;
import org.vmemmap.types.Mm;
import org.vmemmap.types.MmConfig;
import org.vmemmap.types.Owner;

/**
 * A machine of 256 MiB on which a test makes page tables by hand. Nothing is booted.
 *
 * <pre>
 *   frame  0x100   0x101  0x102  0x103          0x200 ...
 *          pgd     pud    pmd    pte (for 2M    frames for struct pages
 *                                of memmap)
 * </pre>
 */
final class SmallMachine {
  static final long RW = 0x8000000000000163L;
  static final long RO = 0x8000000000000121L;
  static final long BLOCK = 0x80000000000001e3L;
  private static final long TABLE = 0x67;
  private static final long PGD = 0x100;
  private static final long PUD = 0x101;
  private static final long PMD = 0x102;
  private static final long FIRST_PTE = 0x103;

  private final X86PageTable format = new X86PageTable(X86Geometry.fourLevel());
  private final Machine machine;
  private final Mm mm;
  private long nextTable = FIRST_PTE;

  SmallMachine() {
    X86Geometry geometry = format.geometry();
    this.machine = new Machine(256L << 20, format, geometry.pageOffset(), Owner.values(), 1);
    Mm.Image image = new Mm.Image(geometry.vmemmapBase(), PGD << 12, 0x80000, 0x10000);
    this.mm = new Mm(machine, format, MmConfig.debianX86(), image);
    entry(PGD, 3, mm.model().vmemmapBase(), PUD << 12 | TABLE);
    entry(PUD, 2, mm.model().vmemmapBase(), PMD << 12 | TABLE);
  }

  Mm mm() {
    return mm;
  }

  private void entry(long table, int level, long va, long value) {
    machine.memory().setLong((table << 12) + 8L * format.index(va, level), value);
  }

  /** Maps memmap page {@code vpage} (of the first 512) to {@code frame}. */
  void mapPage(long vpage, long frame, long flags) {
    long va = mm.model().vmemmapBase() + (vpage << 12);
    long pmd = machine.memory().getLong((PMD << 12) + 8L * format.index(va, 1));
    if (pmd == 0) {
      pmd = nextTable++ << 12 | TABLE;
      entry(PMD, 1, va, pmd);
    }
    entry(format.address(pmd, 1) >>> 12, 0, va, frame << 12 | flags);
  }

  /**
   * Maps the memmap block {@code number} (2 MiB of memmap each) to 512 frames from {@code frame}.
   */
  void mapBlock(long number, long frame) {
    entry(PMD, 1, mm.model().vmemmapBase() + (number << 21), frame << 12 | BLOCK);
  }

  /** Writes word {@code index} of the struct page of {@code pfn}, which must be mapped. */
  void word(long pfn, int index, long value) {
    MemmapReader reader = new MemmapReader(mm);
    machine.memory().setLong(reader.paddr(reader.address(pfn) + 8L * index), value);
  }
}
