// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.dax;

import java.util.BitSet;
import org.vmemmap.types.Errno;
import org.vmemmap.types.Kernel;
import org.vmemmap.types.Mm;

/** Numbers of memory regions, one space for all subsystems that make DAX regions. */
@Kernel(file = "lib/memregion.c", symbol = "memregion_alloc")
final class Memregion {
  private final Mm mm;
  private final BitSet ids = new BitSet();

  Memregion(Mm mm) {
    this.mm = mm;
  }

  /** {@code memregion_alloc()}: the lowest free number, or -ENOMEM. */
  @Kernel(file = "lib/memregion.c", symbol = "memregion_alloc")
  int memregionAlloc() {
    if (mm.mayFail("memregion_alloc")) {
      return -Errno.ENOMEM;
    }
    int id = ids.nextClearBit(0);
    ids.set(id);
    return id;
  }

  /** {@code memregion_free()}. */
  @Kernel(file = "lib/memregion.c", symbol = "memregion_free")
  void memregionFree(int id) {
    ids.clear(id);
  }
}
