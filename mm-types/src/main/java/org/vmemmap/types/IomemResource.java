// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.types;

import org.jspecify.annotations.Nullable;

/**
 * Who uses which physical addresses: the tree that /proc/iomem shows, and the tree of memory that
 * firmware wants kept for a driver.
 *
 * <pre>
 *   iomem_resource
 *   +-- 00001000-bffdffff : System RAM            busy
 *   +-- 140000000-1ffffffff : Persistent Memory   not busy: a driver may claim parts
 *   |   +-- 140000000-1431fffff : namespace0.0    busy
 *   |   +-- 143200000-1ffffffff : dax0.0          busy
 *   +-- 200000000-23fffffff : System RAM          busy
 * </pre>
 *
 * A claim descends into resources that are not busy and fails at the first that is. Addresses are
 * unsigned. The kernel's resource_lock is not modelled: callers do not run at the same time.
 */
@Kernel(file = "kernel/resource.c", symbol = "iomem_resource")
public final class IomemResource {
  /** What {@link #regionIntersects} returns when what belongs to anybody is of the wanted kind. */
  public static final int REGION_INTERSECTS = 0;

  /** What {@link #regionIntersects} returns when no part is of the wanted kind. */
  public static final int REGION_DISJOINT = 1;

  /** What {@link #regionIntersects} returns when parts are and others belong to somebody else. */
  public static final int REGION_MIXED = 2;

  private static final int MAX_IORES_LEVEL = 8;

  private final Mm mm;
  private final Printk printk;
  private final Resource iomem = new Resource(0, -1, "PCI mem", Resource.IORESOURCE_MEM, 0);
  private final Resource softReserve =
      new Resource(
          0, -1, "Soft Reserved", Resource.IORESOURCE_MEM, Resource.IORES_DESC_SOFT_RESERVED);

  /** A function that a walk calls for each range; a result other than 0 ends the walk. */
  @FunctionalInterface
  public interface Walker {
    /** Looks at one range, which is a copy that is in no tree. */
    int visit(Resource res);
  }

  /** Like {@link Walker}, for page frames. */
  @FunctionalInterface
  public interface PfnWalker {
    /** Looks at {@code nrPages} frames from {@code startPfn}. */
    int visit(long startPfn, long nrPages);
  }

  /** Makes two empty trees for the machine of {@code mm}. */
  public IomemResource(Mm mm) {
    this.mm = mm;
    this.printk = mm.printk();
  }

  /** {@code iomem_resource}: the root. */
  public Resource iomemResource() {
    return iomem;
  }

  /** {@code soft_reserve_resource}: the root of what is kept for drivers. */
  @Kernel(file = "kernel/resource.c", symbol = "soft_reserve_resource")
  public Resource softReserveResource() {
    return softReserve;
  }

  /** {@code next_resource()}: pre-order, not leaving {@code subtreeRoot}. */
  @Kernel(file = "kernel/resource.c", symbol = "next_resource")
  static @Nullable Resource nextResource(
      Resource p, boolean skipChildren, @Nullable Resource subtreeRoot) {
    if (!skipChildren && p.child != null) {
      return p.child;
    }
    while (p.sibling == null && p.parent != null) {
      p = p.parent;
      if (p == subtreeRoot) {
        return null;
      }
    }
    return p.sibling;
  }

  /** {@code cat /proc/iomem} as root, without the last newline. */
  @Kernel(file = "kernel/resource.c", symbol = "r_show")
  public String show() {
    StringBuilder out = new StringBuilder();
    for (Resource r = iomem.child; r != null; r = nextResource(r, false, iomem)) {
      int depth = 0;
      for (Resource p = r; depth < MAX_IORES_LEVEL && p != null; depth++, p = p.parent) {
        if (p.parent == iomem) {
          break;
        }
      }
      String name = r.name == null ? "<BAD>" : r.name;
      out.append(out.isEmpty() ? "" : "\n");
      out.append("%s%08x-%08x : %s".formatted("  ".repeat(depth), r.start, r.end, name));
    }
    return out.toString();
  }

  /** {@code alloc_resource()}; null when memory is short. */
  @Kernel(file = "kernel/resource.c", symbol = "alloc_resource")
  private @Nullable Resource allocResource() {
    return mm.mayFail("alloc_resource") ? null : new Resource();
  }

  /** {@code __request_resource()}: enters {@code res}, or returns what is in its way. */
  @Kernel(file = "kernel/resource.c", symbol = "__request_resource")
  private static @Nullable Resource requestResource0(Resource root, Resource res) {
    if (!Resource.below(res.start, res.end)
        || !Resource.below(root.start, res.start)
        || !Resource.below(res.end, root.end)) {
      return root;
    }
    Resource before = null;
    for (Resource tmp = root.child; ; tmp = tmp.sibling) {
      if (tmp == null || !Resource.below(tmp.start, res.end)) {
        res.sibling = tmp;
        link(root, before, res);
        res.parent = root;
        return null;
      }
      before = tmp;
      if (Resource.below(res.start, tmp.end)) {
        return tmp;
      }
    }
  }

  /** {@code *p = next} of the C code: {@code before} is the sibling before, null for the first. */
  private static void link(Resource parent, @Nullable Resource before, @Nullable Resource next) {
    if (before == null) {
      parent.child = next;
    } else {
      before.sibling = next;
    }
  }

  /** {@code __release_resource()}; without {@code releaseChild} the children move up. */
  @Kernel(file = "kernel/resource.c", symbol = "__release_resource")
  private static int releaseResource0(Resource old, boolean releaseChild) {
    Resource parent = old.parent;
    if (parent == null) {
      throw new KernelBug("__release_resource: old->parent is NULL");
    }
    Resource before = null;
    for (Resource tmp = parent.child; tmp != null; tmp = tmp.sibling) {
      if (tmp == old) {
        if (releaseChild || tmp.child == null) {
          link(parent, before, tmp.sibling);
        } else {
          Resource chd = tmp.child;
          for (; ; chd = chd.sibling) {
            chd.parent = parent;
            if (chd.sibling == null) {
              break;
            }
          }
          link(parent, before, tmp.child);
          chd.sibling = tmp.sibling;
        }
        old.parent = null;
        return 0;
      }
      before = tmp;
    }
    return -Errno.EINVAL;
  }

  /** {@code request_resource_conflict()}: null when {@code res} was entered below {@code root}. */
  @Kernel(file = "kernel/resource.c", symbol = "request_resource_conflict")
  public @Nullable Resource requestResourceConflict(Resource root, Resource res) {
    return requestResource0(root, res);
  }

  /** {@code request_resource()}: 0, or -EBUSY when something is in the way. */
  @Kernel(file = "kernel/resource.c", symbol = "request_resource")
  public int requestResource(Resource root, Resource res) {
    return requestResourceConflict(root, res) != null ? -Errno.EBUSY : 0;
  }

  /** {@code release_resource()}: takes it out with its children; 0 or -EINVAL. */
  @Kernel(file = "kernel/resource.c", symbol = "release_resource")
  public int releaseResource(Resource old) {
    return releaseResource0(old, true);
  }

  @Kernel(file = "kernel/resource.c", symbol = "is_type_match")
  private static boolean isTypeMatch(Resource p, long flags, int desc) {
    return (p.flags & flags) == flags && (desc == Resource.IORES_DESC_NONE || desc == p.desc);
  }

  /** {@code find_next_res()}: copies the lowest match to {@code res}; 0, -ENODEV or -EINVAL. */
  @Kernel(file = "kernel/resource.c", symbol = "find_next_res")
  private static int findNextRes(
      Resource root, long start, long end, long flags, int desc, Resource res) {
    // A subtree is entered only once a resource of the top level overlaps what is searched.
    boolean skipChildren = true;
    if (Resource.below(end, start)) {
      return -Errno.EINVAL;
    }
    Resource p = root.child;
    for (; p != null; p = nextResource(p, skipChildren, root)) {
      if (!Resource.below(p.start, end)) {
        return -Errno.ENODEV;
      }
      if (!Resource.below(start, p.end)) {
        continue;
      }
      skipChildren = false;
      if (isTypeMatch(p, flags, desc)) {
        break;
      }
    }
    if (p == null) {
      return -Errno.ENODEV;
    }
    res.start = max(start, p.start);
    res.end = min(end, p.end);
    res.name = null;
    res.flags = p.flags;
    res.desc = p.desc;
    res.parent = p.parent;
    return 0;
  }

  @Kernel(file = "kernel/resource.c", symbol = "find_next_iomem_res")
  private int findNextIomemRes(long start, long end, long flags, int desc, Resource res) {
    return findNextRes(iomem, start, end, flags, desc, res);
  }

  @Kernel(file = "kernel/resource.c", symbol = "walk_res_desc")
  private static int walkResDesc(
      Resource root, long start, long end, long flags, int desc, Walker func) {
    Resource res = new Resource();
    int ret = -Errno.EINVAL;
    while (Long.compareUnsigned(start, end) < 0
        && findNextRes(root, start, end, flags, desc, res) == 0) {
      // Taken before the call: the callee may change what it was shown.
      long next = res.end + 1;
      ret = func.visit(res);
      if (ret != 0) {
        break;
      }
      start = next;
    }
    return ret;
  }

  /**
   * {@code walk_iomem_res_desc()}: all ranges of a kind between {@code start} and {@code end}.
   *
   * @return what the last call of {@code func} returned; -EINVAL when there was none
   */
  @Kernel(file = "kernel/resource.c", symbol = "walk_iomem_res_desc")
  public int walkIomemResDesc(int desc, long flags, long start, long end, Walker func) {
    return walkResDesc(iomem, start, end, flags, desc, func);
  }

  /** {@code walk_soft_reserve_res()}: like {@link #walkIomemResDesc}, of what drivers may take. */
  @Kernel(file = "kernel/resource.c", symbol = "walk_soft_reserve_res")
  public int walkSoftReserveRes(long start, long end, Walker func) {
    return walkResDesc(
        softReserve,
        start,
        end,
        Resource.IORESOURCE_MEM,
        Resource.IORES_DESC_SOFT_RESERVED,
        func);
  }

  /** {@code walk_system_ram_res()}: the busy System RAM between two addresses. */
  @Kernel(file = "kernel/resource.c", symbol = "walk_system_ram_res")
  public int walkSystemRamRes(long start, long end, Walker func) {
    long flags = Resource.IORESOURCE_SYSTEM_RAM | Resource.IORESOURCE_BUSY;
    return walkResDesc(iomem, start, end, flags, Resource.IORES_DESC_NONE, func);
  }

  /** {@code walk_mem_res()}: everything busy that is memory. */
  @Kernel(file = "kernel/resource.c", symbol = "walk_mem_res")
  public int walkMemRes(long start, long end, Walker func) {
    long flags = Resource.IORESOURCE_MEM | Resource.IORESOURCE_BUSY;
    return walkResDesc(iomem, start, end, flags, Resource.IORES_DESC_NONE, func);
  }

  /** {@code walk_system_ram_range()}: the full pages of System RAM in a run of frames. */
  @Kernel(file = "kernel/resource.c", symbol = "walk_system_ram_range")
  public int walkSystemRamRange(long startPfn, long nrPages, PfnWalker func) {
    MemoryModel model = mm.model();
    long start = model.pfnPhys(startPfn);
    long end = model.pfnPhys(startPfn + nrPages) - 1;
    long flags = Resource.IORESOURCE_SYSTEM_RAM | Resource.IORESOURCE_BUSY;
    Resource res = new Resource();
    int ret = -Errno.EINVAL;
    while (Long.compareUnsigned(start, end) < 0
        && findNextIomemRes(start, end, flags, Resource.IORES_DESC_NONE, res) == 0) {
      long pfn = model.pfnUp(res.start);
      long endPfn = model.physPfn(res.end + 1);
      if (endPfn > pfn) {
        ret = func.visit(pfn, endPfn - pfn);
      }
      if (ret != 0) {
        break;
      }
      start = res.end + 1;
    }
    return ret;
  }

  /** {@code page_is_ram()}. */
  @Kernel(file = "kernel/resource.c", symbol = "page_is_ram")
  public boolean pageIsRam(long pfn) {
    return walkSystemRamRange(pfn, 1, (startPfn, nrPages) -> 1) == 1;
  }

  @Kernel(file = "kernel/resource.c", symbol = "__region_intersects")
  private static int regionIntersects0(
      Resource parent, long start, long size, long flags, int desc) {
    Resource res = new Resource(start, start + size - 1, "", 0, Resource.IORES_DESC_NONE);
    int type = 0;
    int other = 0;
    for (Resource p = parent.child; p != null; p = p.sibling) {
      if (!p.overlaps(res)) {
        continue;
      }
      if (isTypeMatch(p, flags, desc)) {
        type++;
        continue;
      }
      int inside = matchesInside(p, res, flags, desc);
      type += Math.abs(inside);
      if (inside >= 0) {
        other++;
      }
    }
    if (type == 0) {
      return REGION_DISJOINT;
    }
    return other == 0 ? REGION_INTERSECTS : REGION_MIXED;
  }

  /**
   * The inner loop of {@code __region_intersects()}: how many descendants of {@code p} match;
   * negative when they leave nothing of the intersection uncovered.
   */
  private static int matchesInside(Resource p, Resource res, long flags, int desc) {
    long from = max(p.start, res.start);
    long to = min(p.end, res.end);
    int type = 0;
    for (Resource dp = p.child; dp != null; dp = nextResource(dp, false, p)) {
      if (!dp.overlaps(res) || !isTypeMatch(dp, flags, desc)) {
        continue;
      }
      type++;
      if (Long.compareUnsigned(dp.start, from) > 0) {
        break;
      }
      if (Resource.below(to, dp.end)) {
        return -type;
      }
      from = max(from, dp.end + 1);
    }
    return type;
  }

  /**
   * {@code region_intersects()}: whether the range is memory of a kind.
   *
   * @return {@link #REGION_DISJOINT}, {@link #REGION_INTERSECTS} (also when part of the range
   *     belongs to nobody) or {@link #REGION_MIXED}
   */
  @Kernel(file = "kernel/resource.c", symbol = "region_intersects")
  public int regionIntersects(long start, long size, long flags, int desc) {
    return regionIntersects0(iomem, start, size, flags, desc);
  }

  /** {@code region_intersects_soft_reserve()}: the same of what is kept for drivers. */
  @Kernel(file = "kernel/resource.c", symbol = "region_intersects_soft_reserve")
  public int regionIntersectsSoftReserve(long start, long size) {
    return regionIntersects0(
        softReserve,
        start,
        size,
        Resource.IORESOURCE_MEM,
        Resource.IORES_DESC_SOFT_RESERVED);
  }

  /** {@code lookup_resource()}: the child of {@code root} that starts there; null for none. */
  @Kernel(file = "kernel/resource.c", symbol = "lookup_resource")
  public @Nullable Resource lookupResource(Resource root, long start) {
    Resource res = root.child;
    while (res != null && res.start != start) {
      res = res.sibling;
    }
    return res;
  }

  /** {@code __insert_resource()}: null, or what is in the way. */
  @Kernel(file = "kernel/resource.c", symbol = "__insert_resource")
  private @Nullable Resource insertResource0(Resource parent, Resource res) {
    Resource first;
    for (; ; parent = first) {
      first = requestResource0(parent, res);
      if (first == null || first == parent) {
        return first;
      }
      if (printk.warnOn(first == res, "__insert_resource: first == new")) {
        return first;
      }
      boolean around = Resource.below(first.start, res.start) && Resource.below(res.end, first.end);
      if (!around || (first.start == res.start && first.end == res.end)) {
        break;
      }
    }
    Resource last = first;
    for (; ; last = last.sibling) {
      // Half inside and half outside cannot be put in order.
      if (!Resource.below(res.start, last.start) || !Resource.below(last.end, res.end)) {
        return last;
      }
      if (last.sibling == null || !Resource.below(last.sibling.start, res.end)) {
        break;
      }
    }
    adopt(parent, res, first, last);
    return null;
  }

  /** Puts {@code res} into the place of the siblings first to last, which become its children. */
  private static void adopt(Resource parent, Resource res, Resource first, Resource last) {
    res.parent = parent;
    res.sibling = last.sibling;
    res.child = first;
    last.sibling = null;
    for (Resource next = first; next != null; next = next.sibling) {
      next.parent = res;
    }
    Resource before = null;
    for (Resource at = parent.child; at != null && at != first; at = at.sibling) {
      before = at;
    }
    link(parent, before, res);
  }

  /** {@code insert_resource_conflict()}: null, or what is in the way. */
  @Kernel(file = "kernel/resource.c", symbol = "insert_resource_conflict")
  public @Nullable Resource insertResourceConflict(Resource parent, Resource res) {
    return insertResource0(parent, res);
  }

  /**
   * {@code insert_resource()}: like {@link #requestResource}, but resources that lie wholly inside
   * become children of {@code res}. 0, or -EBUSY at a partial overlap.
   */
  @Kernel(file = "kernel/resource.c", symbol = "insert_resource")
  public int insertResource(Resource parent, Resource res) {
    return insertResourceConflict(parent, res) != null ? -Errno.EBUSY : 0;
  }

  /** {@code insert_resource_expand_to_fit()}: grows {@code res} until it covers all conflicts. */
  @Kernel(file = "kernel/resource.c", symbol = "insert_resource_expand_to_fit")
  public void insertResourceExpandToFit(Resource root, Resource res) {
    if (res.parent != null) {
      return;
    }
    for (; ; ) {
      Resource conflict = insertResource0(root, res);
      if (conflict == null || conflict == root) {
        break;
      }
      res.start = min(res.start, conflict.start);
      res.end = max(res.end, conflict.end);
      printk.prInfo(
          "Expanded resource %s due to conflict with %s".formatted(res.name, conflict.name));
    }
  }

  /** {@code remove_resource()}: takes it out, its children move up; 0 or -EINVAL. */
  @Kernel(file = "kernel/resource.c", symbol = "remove_resource")
  public int removeResource(Resource old) {
    return releaseResource0(old, false);
  }

  /** {@code __adjust_resource()}. */
  @Kernel(file = "kernel/resource.c", symbol = "__adjust_resource")
  private static int adjustResource0(Resource res, long start, long size) {
    Resource parent = res.parent;
    long end = start + size - 1;
    if (parent != null) {
      if (!Resource.below(parent.start, start) || !Resource.below(end, parent.end)) {
        return -Errno.EBUSY;
      }
      if (res.sibling != null && Resource.below(res.sibling.start, end)) {
        return -Errno.EBUSY;
      }
      Resource before = before(parent, res);
      if (before != null && Resource.below(start, before.end)) {
        return -Errno.EBUSY;
      }
    }
    for (Resource tmp = res.child; tmp != null; tmp = tmp.sibling) {
      if (!Resource.below(start, tmp.start) || !Resource.below(tmp.end, end)) {
        return -Errno.EBUSY;
      }
    }
    res.start = start;
    res.end = end;
    return 0;
  }

  private static @Nullable Resource before(Resource parent, Resource res) {
    Resource before = null;
    for (Resource at = parent.child; at != null && at != res; at = at.sibling) {
      before = at;
    }
    return before;
  }

  /** {@code adjust_resource()}: new start and size; 0, or -EBUSY when that does not fit. */
  @Kernel(file = "kernel/resource.c", symbol = "adjust_resource")
  public int adjustResource(Resource res, long start, long size) {
    return adjustResource0(res, start, size);
  }

  @Kernel(file = "kernel/resource.c", symbol = "__reserve_region_with_split")
  private void reserveRegionWithSplit0(Resource root, long start, long end, String name) {
    Resource res = allocBusy(root, start, end, name);
    Resource nextRes = null;
    while (res != null) {
      Resource conflict = requestResource0(root, res);
      if (conflict == null) {
        res = nextRes;
        nextRes = null;
        continue;
      }
      // Nothing is left to reserve of this piece.
      if (Resource.below(conflict.start, res.start) && Resource.below(res.end, conflict.end)) {
        printk.warnOn(nextRes != null, "__reserve_region_with_split: next_res");
        break;
      }
      if (Resource.below(conflict.start, res.start)) {
        res.start = conflict.end + 1;
        continue;
      }
      long oldEnd = res.end;
      res.end = conflict.start - 1;
      if (!Resource.below(oldEnd, conflict.end)) {
        nextRes = allocBusy(root, conflict.end + 1, oldEnd, name);
        if (nextRes == null) {
          break;
        }
      }
    }
  }

  private @Nullable Resource allocBusy(Resource root, long start, long end, String name) {
    Resource res = allocResource();
    if (res != null) {
      res.name = name;
      res.start = start;
      res.end = end;
      res.flags = root.type() | Resource.IORESOURCE_BUSY;
      res.desc = Resource.IORES_DESC_NONE;
    }
    return res;
  }

  /** {@code reserve_region_with_split()}: makes all of the range busy that nobody has. */
  @Kernel(file = "kernel/resource.c", symbol = "reserve_region_with_split")
  public void reserveRegionWithSplit(Resource root, long start, long end, String name) {
    if (!Resource.below(root.start, start) || !Resource.below(end, root.end)) {
      printk.prErr("requested range [0x%x-0x%x] not in root %s".formatted(start, end, root));
      if (!Resource.below(start, root.end) || !Resource.below(root.start, end)) {
        return;
      }
      end = min(end, root.end);
      start = max(start, root.start);
      printk.prErr("fixing request to [0x%x-0x%x]".formatted(start, end));
    }
    reserveRegionWithSplit0(root, start, end, name);
  }

  @Kernel(file = "kernel/resource.c", symbol = "__request_region_locked")
  private int requestRegionLocked(
      Resource res, Resource parent, long start, long n, String name, long flags) {
    res.name = name;
    res.start = start;
    res.end = start + n - 1;
    for (; ; ) {
      res.flags = parent.type() | parent.extType() | Resource.IORESOURCE_BUSY | flags;
      res.desc = parent.desc;
      Resource conflict = requestResource0(parent, res);
      if (conflict == null) {
        return 0;
      }
      if (parent == iomem && conflict.desc == Resource.IORES_DESC_DEVICE_PRIVATE_MEMORY) {
        printk.prWarn(
            "Unaddressable device %s %s conflicts with %s"
                .formatted(conflict.name, conflict, res));
      }
      if (conflict != parent && (conflict.flags & Resource.IORESOURCE_BUSY) == 0) {
        parent = conflict;
        continue;
      }
      // A muxed resource would be waited for here; nothing that is modelled asks for one.
      return -Errno.EBUSY;
    }
  }

  /**
   * {@code __request_region()}: claims {@code n} bytes below {@code parent}.
   *
   * @return the new busy resource; null when the range is in use or memory is short
   */
  @Kernel(file = "kernel/resource.c", symbol = "__request_region")
  public @Nullable Resource requestRegion(
      Resource parent, long start, long n, String name, long flags) {
    Resource res = allocResource();
    if (res == null || requestRegionLocked(res, parent, start, n, name, flags) != 0) {
      return null;
    }
    // revoke_iomem() would take the range from users of /dev/mem, which is not modelled.
    return res;
  }

  /** {@code request_mem_region()}: {@link #requestRegion} of physical memory. */
  @Kernel(file = "include/linux/ioport.h", symbol = "request_mem_region")
  public @Nullable Resource requestMemRegion(long start, long n, String name) {
    return requestRegion(iomem, start, n, name, 0);
  }

  /**
   * {@code __release_region()}: gives back exactly what was requested; warns when it is not there.
   */
  @Kernel(file = "kernel/resource.c", symbol = "__release_region")
  public void releaseRegion(Resource parent, long start, long n) {
    long end = start + n - 1;
    Resource level = parent;
    Resource before = null;
    for (Resource res = level.child; res != null; ) {
      if (Resource.below(res.start, start) && Resource.below(end, res.end)) {
        if ((res.flags & Resource.IORESOURCE_BUSY) == 0) {
          level = res;
          before = null;
          res = res.child;
          continue;
        }
        if (res.start != start || res.end != end) {
          break;
        }
        link(level, before, res.sibling);
        return;
      }
      before = res;
      res = res.sibling;
    }
    printk.prWarn("Trying to free nonexistent resource <0x%016x-0x%016x>".formatted(start, end));
  }

  /** {@code release_mem_region()}. */
  @Kernel(file = "include/linux/ioport.h", symbol = "release_mem_region")
  public void releaseMemRegion(long start, long n) {
    releaseRegion(iomem, start, n);
  }

  @Kernel(file = "kernel/resource.c", symbol = "append_child_to_parent")
  private static void appendChildToParent(Resource newParent, Resource newChild) {
    Resource child = newParent.child;
    while (child != null && child.sibling != null) {
      child = child.sibling;
    }
    link(newParent, child, newChild);
    newChild.parent = newParent;
    newChild.sibling = null;
  }

  @Kernel(file = "kernel/resource.c", symbol = "reparent_children_after_split")
  private static void reparentChildrenAfterSplit(Resource low, Resource high, long splitAddr) {
    Resource before = null;
    for (Resource child = low.child; child != null; ) {
      Resource next = child.sibling;
      if (Long.compareUnsigned(child.start, splitAddr) > 0) {
        link(low, before, next);
        appendChildToParent(high, child);
      } else {
        before = child;
      }
      child = next;
    }
  }

  /**
   * {@code release_mem_region_adjustable()}: gives back part of a busy region, for hot-removal.
   * What cannot be found is ignored, as in C.
   */
  @Kernel(file = "kernel/resource.c", symbol = "release_mem_region_adjustable")
  public void releaseMemRegionAdjustable(long start, long size) {
    long end = start + size - 1;
    if (printk.warnOnOnce(
        !Resource.below(iomem.start, start) || !Resource.below(end, iomem.end),
        "release_mem_region_adjustable: (start < parent->start) || (end > parent->end)")) {
      return;
    }
    Resource newRes = allocResource();
    Resource level = iomem;
    Resource before = null;
    for (Resource res = level.child; res != null; ) {
      if (Resource.below(end, res.start)) {
        break;
      }
      if (!Resource.below(res.start, start) || !Resource.below(end, res.end)) {
        before = res;
        res = res.sibling;
        continue;
      }
      if ((res.flags & Resource.IORESOURCE_MEM) == 0) {
        break;
      }
      if ((res.flags & Resource.IORESOURCE_BUSY) == 0) {
        level = res;
        before = null;
        res = res.child;
        continue;
      }
      releasePart(level, before, res, start, end, newRes);
      break;
    }
  }

  /** The four cases of {@code release_mem_region_adjustable()}. */
  private void releasePart(
      Resource level,
      @Nullable Resource before,
      Resource res,
      long start,
      long end,
      @Nullable Resource newRes) {
    if (res.start == start && res.end == end) {
      link(level, before, res.sibling);
    } else if (res.start == start) {
      printk.warnOnOnce(
          adjustResource0(res, end + 1, res.end - end) != 0,
          "release_mem_region_adjustable: adjust start");
    } else if (res.end == end) {
      printk.warnOnOnce(
          adjustResource0(res, res.start, start - res.start) != 0,
          "release_mem_region_adjustable: adjust end");
    } else {
      // The kernel retries with __GFP_NOFAIL, so the second attempt always has memory.
      Resource high = newRes == null ? new Resource() : newRes;
      high.name = res.name;
      high.start = end + 1;
      high.end = res.end;
      high.flags = res.flags;
      high.desc = res.desc;
      high.parent = res.parent;
      high.sibling = res.sibling;
      high.child = null;
      reparentChildrenAfterSplit(res, high, end);
      if (printk.warnOnOnce(
          adjustResource0(res, res.start, start - res.start) != 0,
          "release_mem_region_adjustable: split")) {
        return;
      }
      res.sibling = high;
    }
  }

  @Kernel(file = "kernel/resource.c", symbol = "system_ram_resources_mergeable")
  private static boolean systemRamResourcesMergeable(Resource r1, Resource r2) {
    return r1.flags == r2.flags
        && r1.end + 1 == r2.start
        && java.util.Objects.equals(r1.name, r2.name)
        && r1.desc == r2.desc
        && r1.child == null
        && r2.child == null;
  }

  /** {@code merge_system_ram_resource()}: joins busy System RAM with mergeable neighbours. */
  @Kernel(file = "kernel/resource.c", symbol = "merge_system_ram_resource")
  public void mergeSystemRamResource(Resource res) {
    long flags = Resource.IORESOURCE_SYSTEM_RAM | Resource.IORESOURCE_BUSY;
    if (printk.warnOnOnce(
        (res.flags & flags) != flags, "merge_system_ram_resource: (res->flags & flags) != flags")) {
      return;
    }
    res.flags |= Resource.IORESOURCE_SYSRAM_MERGEABLE;
    Resource cur = res.sibling;
    if (cur != null && systemRamResourcesMergeable(res, cur)) {
      res.end = cur.end;
      res.sibling = cur.sibling;
    }
    Resource parent = res.parent;
    cur = parent == null ? null : before(parent, res);
    if (cur != null && systemRamResourcesMergeable(cur, res)) {
      cur.end = res.end;
      cur.sibling = res.sibling;
    }
  }

  private static long max(long a, long b) {
    return Long.compareUnsigned(a, b) >= 0 ? a : b;
  }

  private static long min(long a, long b) {
    return Long.compareUnsigned(a, b) <= 0 ? a : b;
  }
}
