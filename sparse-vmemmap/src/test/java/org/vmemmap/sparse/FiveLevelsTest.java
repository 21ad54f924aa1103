// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.sparse;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.vmemmap.sparse.SmallMachine.MIB;
import static org.vmemmap.sparse.SmallMachine.VMEMMAP_BASE;
import static org.vmemmap.sparse.SmallMachine.config;

import java.util.List;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.vmemmap.sparse.SmallMachine.Ram;
import org.vmemmap.types.Errno;

/**
 * The populate functions where no level is folded: there are tables of p4d and pud entries to make.
 *
 * <pre>
 *   address  37   35 34   32 31   29 28         20 19        12 11          0
 *           +-------+-------+-------+-------------+------------+-------------+
 *           | pgd, 8| p4d, 8| pud, 8|  pmd, 512   |  pte, 256  |   offset    |
 *           +-------+-------+-------+-------------+------------+-------------+
 * </pre>
 */
class FiveLevelsTest {
  private static final int PGD = 4;

  /** Memmap under the next entry of the top table, below which there are no tables. */
  private static final long NEXT_PGD = 1L << 35;

  /**
   * The tables below an entry of the top table fail one after the other.
   *
   * <pre>
   *   [pgd] ---> [p4d] ---> [pud] ---> [pmd] ---> [pte] or a leaf
   *         1st        2nd        3rd to fail
   * </pre>
   *
   * Expect -ENOMEM each time, and one table more to be there; then the page to be mapped.
   */
  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void vmemmapPopulate_eachTableFails_keepsThoseAbove(boolean basePages) {
    SmallMachine m =
        new SmallMachine(OddPageTable.fiveLevels(), config(), VMEMMAP_BASE, new Ram(0, 384 * MIB, 0))
            .boot();
    m.arch.basepagesOnly = basePages;
    long addr = m.memmap(0) + NEXT_PGD;
    assertEquals(PGD, m.walk(addr).level());

    for (int level = PGD; level > 1; level--) {
      m.machine.faults().failFrom(level == PGD ? 1 : 2, "vmemmap_alloc_block"::equals);
      assertEquals(-Errno.ENOMEM, m.vmemmap.vmemmapPopulate(addr, addr + MIB, 0, null));
      assertEquals(level, m.walk(addr).level());
    }

    m.machine.faults().disarm();
    assertEquals(0, m.vmemmap.vmemmapPopulate(addr, addr + MIB, 0, null));
    assertEquals(basePages ? 0 : 1, m.level(addr));
    m.machine.cpu().writeLong(addr, 7);
    assertEquals(7, m.machine.cpu().readLong(addr));
    assertEquals(List.of(), m.warnings());
  }
}
