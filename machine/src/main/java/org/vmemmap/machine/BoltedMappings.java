// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.machine;

import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * The translations of a CPU that walks no tree: blocks that software has entered into a hash table
 * and bolted, so that nothing evicts them.
 *
 * <pre>
 *   va, a multiple of the size          paddr, a multiple of the size
 *  +--------------------------+        +--------------------------+
 *  | 2^shift bytes            |  ----> | 2^shift bytes            |
 *  +--------------------------+        +--------------------------+
 * </pre>
 *
 * Where in the table an entry lies is not modelled, only that it is there. Two entries for one
 * address are what such a CPU answers with a machine check.
 */
public final class BoltedMappings {
  private final TreeMap<Long, Block> blocks = new TreeMap<>(Long::compareUnsigned);

  /**
   * One mapping.
   *
   * @param va first virtual address
   * @param shift log2 of its bytes
   * @param paddr first physical address
   * @param writable whether stores are allowed
   */
  public record Block(long va, int shift, long paddr, boolean writable) {
    /** First virtual address behind the block. */
    public long end() {
      return va + (1L << shift);
    }

    boolean holds(long address) {
      return address >>> shift == va >>> shift;
    }

    long target(long address) {
      return paddr + (address - va);
    }
  }

  /**
   * Enters a mapping.
   *
   * @throws MachineFault {@code misaligned-mapping}, or {@code duplicate-mapping} when a part of it
   *     is mapped already
   */
  public void insert(long va, int shift, long paddr, boolean writable) {
    if (((va | paddr) & ((1L << shift) - 1)) != 0) {
      throw new MachineFault("misaligned-mapping", "va", va, "paddr", paddr);
    }
    Map.Entry<Long, Block> last = blocks.lowerEntry(va + (1L << shift));
    if (last != null && Long.compareUnsigned(last.getValue().end(), va) > 0) {
      throw new MachineFault("duplicate-mapping", "va", va, "old", last.getKey());
    }
    blocks.put(va, new Block(va, shift, paddr, writable));
  }

  /** Removes the mapping of this address and size; false when there is none. Caches keep theirs. */
  public boolean remove(long va, int shift) {
    Block block = blocks.get(va);
    if (block == null || block.shift() != shift) {
      return false;
    }
    blocks.remove(va);
    return true;
  }

  /** The mapping that holds {@code va}, or null. */
  public @Nullable Block block(long va) {
    Map.Entry<Long, Block> entry = blocks.floorEntry(va);
    return entry != null && entry.getValue().holds(va) ? entry.getValue() : null;
  }

  /** All mappings by address. */
  public List<Block> blocks() {
    return List.copyOf(blocks.values());
  }
}
