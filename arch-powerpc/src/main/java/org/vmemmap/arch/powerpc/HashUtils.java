// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.arch.powerpc;

import org.vmemmap.machine.BoltedMappings;
import org.vmemmap.types.Align;
import org.vmemmap.types.Errno;
import org.vmemmap.types.Kernel;
import org.vmemmap.types.Mm;

/**
 * Entries of the hash table that stay: what {@code htab_bolt_mapping()} enters nobody evicts. Sizes
 * are log2 of bytes, where the kernel has an index into mmu_psize_defs[].
 *
 * <pre>
 *   hash of the address --&gt; primary group of 8 --full--&gt; secondary group of 8 --full--&gt; -1
 * </pre>
 */
@Kernel(file = "arch/powerpc/mm/book3s64/hash_utils.c", symbol = "htab_bolt_mapping")
final class HashUtils {
  private static final int FULL = -1;

  private final Mm mm;
  private final BoltedMappings table;

  /**
   * Takes the table of a machine that has one.
   *
   * @throws IllegalArgumentException for a machine that walks page tables
   */
  HashUtils(Mm mm) {
    BoltedMappings bolted = mm.machine().bolted();
    if (bolted == null) {
      throw new IllegalArgumentException("the machine walks page tables, the kernel is for hash");
    }
    this.mm = mm;
    this.table = bolted;
  }

  /**
   * Bolts {@code [vstart, vend)} in blocks of 2^{@code shift} bytes. A full group is given a second
   * chance: something in it may be evicted, and there is another group for each address.
   *
   * @param prot bits of a Linux pte
   * @return 0, or -1 with the blocks before the failing one entered
   */
  @Kernel(
      file = "arch/powerpc/mm/book3s64/hash_utils.c",
      symbol = "htab_bolt_mapping",
      fidelity = Kernel.Fidelity.CUSTOM,
      why =
          "Groups are not modelled, only that one can be full. No kernel text lies in the memmap,"
              + " and each of its addresses has a segment.")
  int htabBoltMapping(long vstart, long vend, long pstart, long prot, int shift) {
    long step = 1L << shift;
    long vaddr = Align.align(vstart, step);
    long paddr = Align.align(pstart, step);
    vend = Align.alignDown(vend, step);
    int ret = 0;
    for (; Long.compareUnsigned(vaddr, vend) < 0; vaddr += step, paddr += step) {
      ret = insert(vaddr, paddr, prot, shift);
      if (ret == FULL) {
        ret = insert(vaddr, paddr, prot, shift);
      }
      if (ret < 0) {
        break;
      }
    }
    return Math.min(ret, 0);
  }

  /**
   * Removes the blocks of {@code [vstart, vend)}; goes on when one is not there.
   *
   * @return 0, or -ENOENT when a block was missing
   */
  @Kernel(file = "arch/powerpc/mm/book3s64/hash_utils.c", symbol = "htab_remove_mapping")
  int htabRemoveMapping(long vstart, long vend, int shift) {
    long step = 1L << shift;
    int ret = 0;
    for (long vaddr = Align.alignDown(vstart, step);
        Long.compareUnsigned(vaddr, vend) < 0;
        vaddr += step) {
      int rc = removebolted(vaddr, shift);
      if (rc == -Errno.ENOENT) {
        ret = -Errno.ENOENT;
        continue;
      }
      if (rc < 0) {
        return rc;
      }
    }
    return ret;
  }

  /** {@code mmu_hash_ops.hpte_insert()} and {@code hpte_remove()}: nothing here can be evicted. */
  @Kernel(
      file = "arch/powerpc/include/asm/book3s/64/mmu-hash.h",
      symbol = "struct mmu_hash_ops",
      fidelity = Kernel.Fidelity.CUSTOM,
      why = "The hypervisor's side: the machine has the mappings, not the groups.")
  private int insert(long vaddr, long paddr, long prot, int shift) {
    if (mm.mayFail("hpte_insert")) {
      return FULL;
    }
    mm.machine().yields().at("hpte_insert", vaddr);
    table.insert(vaddr, shift, paddr, (prot & RadixPageTable.WRITE) != 0);
    return 0;
  }

  /** {@code mmu_hash_ops.hpte_removebolted()}: the hypervisor invalidates what CPUs have cached. */
  @Kernel(
      file = "arch/powerpc/include/asm/book3s/64/mmu-hash.h",
      symbol = "struct mmu_hash_ops",
      fidelity = Kernel.Fidelity.CUSTOM,
      why = "The hypervisor's side: the machine has the mappings, not the groups.")
  private int removebolted(long vaddr, int shift) {
    announce(vaddr, shift);
    if (!table.remove(vaddr, shift)) {
      return -Errno.ENOENT;
    }
    mm.machine().flushRange(vaddr, vaddr + (1L << shift));
    return 0;
  }

  /** Who has found a frame through this mapping must not miss that it goes. */
  private void announce(long vaddr, int shift) {
    BoltedMappings.Block block = table.block(vaddr);
    mm.machine().yields().at("hpte_removebolted", vaddr);
    if (block != null) {
      int pageShift = mm.model().pageShift();
      long frames = 1L << Math.max(0, shift - pageShift);
      mm.machine().yields().moved((block.paddr() + vaddr - block.va()) >>> pageShift, frames);
    }
  }
}
