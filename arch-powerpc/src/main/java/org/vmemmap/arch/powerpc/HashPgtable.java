// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.arch.powerpc;

import org.vmemmap.types.Errno;
import org.vmemmap.types.Kernel;
import org.vmemmap.types.Mm;

/** Bolting blocks of the memmap into the hash table. Addresses are virtual, sizes in bytes. */
@Kernel(file = "arch/powerpc/mm/book3s64/hash_pgtable.c", symbol = "hash__vmemmap_create_mapping")
final class HashPgtable {
  private final Mm mm;
  private final PowerpcGeometry geometry;
  private final HashUtils hashUtils;
  private final int vmemmapShift;

  /** @param vmemmapShift log2 of the block that is bolted for the memmap */
  HashPgtable(Mm mm, PowerpcGeometry geometry, HashUtils hashUtils, int vmemmapShift) {
    this.mm = mm;
    this.geometry = geometry;
    this.hashUtils = hashUtils;
    this.vmemmapShift = vmemmapShift;
  }

  /**
   * Maps a block at {@code start} to {@code phys}.
   *
   * @return 0, or -1 at the end of the memmap area or when the table is full, with nothing mapped
   */
  @Kernel(file = "arch/powerpc/mm/book3s64/hash_pgtable.c", symbol = "hash__vmemmap_create_mapping")
  int hashVmemmapCreateMapping(long start, long pageSize, long phys) {
    if (Long.compareUnsigned(start + pageSize, geometry.vmemmapEnd()) >= 0) {
      mm.printk().prWarn("Outside the supported range");
      return -1;
    }
    long prot = mm.pgtable().pageKernel().val();
    int rc = hashUtils.htabBoltMapping(start, start + pageSize, phys, prot, vmemmapShift);
    if (rc < 0) {
      int rc2 = hashUtils.htabRemoveMapping(start, start + pageSize, vmemmapShift);
      mm.printk()
          .bugOn(
              rc2 != 0 && rc2 != -Errno.ENOENT,
              "hash__vmemmap_create_mapping: rc2 && (rc2 != -ENOENT)");
    }
    return rc;
  }

  /** Removes the block at {@code start}. One that was never bolted is only warned of. */
  @Kernel(file = "arch/powerpc/mm/book3s64/hash_pgtable.c", symbol = "hash__vmemmap_remove_mapping")
  void hashVmemmapRemoveMapping(long start, long pageSize) {
    int rc = hashUtils.htabRemoveMapping(start, start + pageSize, vmemmapShift);
    mm.printk()
        .bugOn(
            rc < 0 && rc != -Errno.ENOENT,
            "hash__vmemmap_remove_mapping: (rc < 0) && (rc != -ENOENT)");
    mm.printk().warnOn(rc == -Errno.ENOENT, "hash__vmemmap_remove_mapping: rc == -ENOENT");
  }
}
