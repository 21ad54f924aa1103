// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.pagealloc;

import java.util.Map;
import java.util.TreeMap;
import org.vmemmap.types.Kernel;
import org.vmemmap.types.Mm;

/**
 * The part of kmemleak that sees boot memory: objects by physical address, from the allocation in
 * memblock to {@code memblock_phys_free()}, which may take the middle out of one.
 *
 * <pre>
 *   kmemleak_alloc_phys()       |------------ object -----------|
 *   kmemleak_free_part_phys()             |xxxxx|
 *   two objects are left        |---------|     |---------------|
 * </pre>
 *
 * The kernel looks for leaks; here the book itself is the point. What it does not allow is a WARN:
 * memory that is tracked twice, that is given back but was never handed out, or that reaches behind
 * what was. The kernel stops at the first of these, tells the second only when it is built with
 * DEBUG, and does not see the third. The memmap is allocated untraced, as there is too much of it;
 * so that it can be told from memory that nobody handed out, it is in this book too, by the name
 * {@link #noTracePhys}.
 */
@Kernel(
    file = "mm/kmemleak.c",
    symbol = "kmemleak_alloc_phys",
    fidelity = Kernel.Fidelity.CUSTOM,
    why = "Nothing is scanned for pointers: objects are only booked, and errors in that are told.")
public final class Kmemleak {
  private final Mm mm;
  private final TreeMap<Long, Item> objects = new TreeMap<>();

  /** What lies from the key of the entry to {@code end}. */
  private record Item(long end, boolean traced, boolean black) {}

  Kmemleak(Mm mm) {
    this.mm = mm;
  }

  /** {@code kmemleak_alloc_phys()}: boot memory was handed out. Bytes. */
  @Kernel(file = "mm/kmemleak.c", symbol = "kmemleak_alloc_phys")
  public void kmemleakAllocPhys(long phys, long size) {
    linkObject(phys, new Item(phys + size, true, false));
  }

  /** Boot memory was handed out with MEMBLOCK_ALLOC_NOLEAKTRACE; the kernel forgets it. */
  public void noTracePhys(long phys, long size) {
    linkObject(phys, new Item(phys + size, false, false));
  }

  @Kernel(
      file = "mm/kmemleak.c",
      symbol = "__link_object",
      fidelity = Kernel.Fidelity.CUSTOM,
      why = "A sorted map; goes on after an overlap, where the kernel switches kmemleak off.")
  private void linkObject(long phys, Item item) {
    Map.Entry<Long, Item> below = objects.lowerEntry(item.end);
    boolean overlaps = below != null && below.getValue().end > phys;
    if (!mm.printk()
        .warnOn(
            overlaps,
            "kmemleak: Cannot insert 0x%x into the object search tree (overlaps existing)"
                .formatted(phys))) {
      objects.put(phys, item);
    }
  }

  /** {@code kmemleak_free_part_phys()}: {@code size} bytes of an object are given back. */
  @Kernel(file = "mm/kmemleak.c", symbol = "kmemleak_free_part_phys")
  public void kmemleakFreePartPhys(long phys, long size) {
    deleteObjectPart(phys, size);
  }

  @Kernel(
      file = "mm/kmemleak.c",
      symbol = "delete_object_part",
      fidelity = Kernel.Fidelity.CUSTOM,
      why = "A sorted map, so the pieces need no memory of their own; a WARN where C has a debug line.")
  private void deleteObjectPart(long phys, long size) {
    Map.Entry<Long, Item> found = objects.floorEntry(phys);
    if (found == null || found.getValue().end <= phys) {
      mm.printk()
          .warnOn(
              true,
              "kmemleak: Partially freeing unknown object at 0x%08x (size %d)"
                  .formatted(phys, size));
      return;
    }
    long start = found.getKey();
    Item item = found.getValue();
    mm.printk()
        .warnOn(
            phys + size > item.end,
            "kmemleak: Freeing 0x%08x (size %d) beyond its object".formatted(phys, size));
    objects.remove(start);
    if (phys > start) {
      objects.put(start, new Item(phys, item.traced, item.black));
    }
    if (phys + size < item.end) {
      objects.put(phys + size, new Item(item.end, item.traced, item.black));
    }
  }

  /** {@code kmemleak_ignore_phys()}: the object is no leak and holds no pointers. */
  @Kernel(file = "mm/kmemleak.c", symbol = "kmemleak_ignore_phys")
  public void kmemleakIgnorePhys(long phys) {
    objects.computeIfPresent(phys, (at, item) -> new Item(item.end, item.traced, true));
  }

  /** Bytes in objects that the kernel tracks, the ignored ones included. */
  public long trackedBytes() {
    return objects.entrySet().stream()
        .filter(one -> one.getValue().traced)
        .mapToLong(one -> one.getValue().end - one.getKey())
        .sum();
  }

  /** True when the object that begins at {@code phys} is to be ignored. */
  public boolean isIgnored(long phys) {
    Item item = objects.get(phys);
    return item != null && item.black;
  }
}
