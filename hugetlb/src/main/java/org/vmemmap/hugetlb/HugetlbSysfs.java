// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.hugetlb;

import java.util.NavigableSet;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import org.vmemmap.types.Errno;
import org.vmemmap.types.Kernel;
import org.vmemmap.types.Kstrtox;

/**
 * The files of HugeTLB, by their full paths.
 *
 * <pre>
 *   /proc/sys/vm/nr_hugepages                    default size, all nodes
 *   /proc/sys/vm/nr_hugepages_mempolicy          the same: there are no memory policies here
 *   /proc/sys/vm/nr_overcommit_hugepages         default size
 *   /proc/sys/vm/hugetlb_optimize_vmemmap        if any size can be optimised
 *   /sys/kernel/mm/hugepages/hugepages-NkB/      nr_, nr_overcommit_, free_, resv_,
 *                                                surplus_hugepages; demote, demote_size
 *   /sys/devices/system/node/nodeN/hugepages/hugepages-NkB/    nr_, free_, surplus_hugepages;
 *                                                demote, demote_size
 * </pre>
 *
 * The two kinds read numbers differently: /proc/sys takes blanks around a number and 0x, sysfs
 * takes decimal digits and one newline. The demote files exist where there is a smaller size.
 */
@Kernel(file = "mm/hugetlb_sysfs.c", symbol = "hugetlb_sysfs_init")
public final class HugetlbSysfs {
  private static final String PROC = "/proc/sys/vm/";
  private static final Pattern GLOBAL =
      Pattern.compile("/sys/kernel/mm/hugepages/(hugepages-\\d+kB)/(\\w+)");
  private static final Pattern NODE =
      Pattern.compile("/sys/devices/system/node/node(\\d+)/hugepages/(hugepages-\\d+kB)/(\\w+)");

  private final Hstates hstates;
  private final HugetlbInternal internal;
  private final HugetlbVmemmap vmemmap;
  private final HugetlbResize resize;
  private final HugetlbDemote demote;
  private final Hugetlb hugetlb;

  /** What a path stands for: a file of a size, of one node or of all (-1). */
  private record Attr(Hstate h, int nid, String name) {}

  /** Files for the pools of {@code hugetlb}. */
  public HugetlbSysfs(
      Hstates hstates,
      HugetlbInternal internal,
      HugetlbVmemmap vmemmap,
      HugetlbResize resize,
      HugetlbDemote demote,
      Hugetlb hugetlb) {
    this.hstates = hstates;
    this.internal = internal;
    this.vmemmap = vmemmap;
    this.resize = resize;
    this.demote = demote;
    this.hugetlb = hugetlb;
  }

  /**
   * Writes {@code value} to the file, as {@code echo} does; the newline may be left out.
   *
   * @return 0 or a negative error code: -ENOENT for a path that does not exist, -EACCES for a file
   *     that cannot be written, -EINVAL or -ERANGE for a bad number, or what the change returned
   */
  public int write(String path, String value) {
    int rc =
        path.startsWith(PROC)
            ? writeProc(path.substring(PROC.length()), value)
            : writeSys(path, value);
    hugetlb.runFreeHpageWork();
    return rc;
  }

  /**
   * The content of the file without its newline; null for a path that does not exist or cannot be
   * read.
   */
  public @Nullable String read(String path) {
    if (path.startsWith(PROC)) {
      return readProc(path.substring(PROC.length()));
    }
    Attr attr = attr(path);
    return attr == null ? null : show(attr);
  }

  // ---------------------------------------------------------------- /proc/sys/vm

  /** A write below /proc/sys/vm. One of no bytes never gets to the handler. */
  private int writeProc(String name, String value) {
    if (readProc(name) == null) {
      return -Errno.ENOENT;
    }
    if (value.isEmpty()) {
      return 0;
    }
    return switch (name) {
      case "hugetlb_optimize_vmemmap" -> vmemmap.writeSysctl(value);
      case "nr_overcommit_hugepages" -> hugetlbOvercommitHandler(value);
      default -> hugetlbSysctlHandler(value);
    };
  }

  /**
   * The sysctls as they are read; null for what does not exist, which is all of them on a CPU
   * without hugepages.
   */
  private @Nullable String readProc(String name) {
    if (name.equals("hugetlb_optimize_vmemmap")) {
      return vmemmap.sysctlRegistered() ? (vmemmap.vmemmapOptimizeEnabled() ? "1" : "0") : null;
    }
    if (hstates.hugetlbMaxHstate() == 0) {
      return null;
    }
    Hstate h = hstates.defaultHstate();
    return switch (name) {
      case "nr_hugepages", "nr_hugepages_mempolicy" -> Long.toUnsignedString(h.maxHugePages);
      case "nr_overcommit_hugepages" -> Long.toUnsignedString(h.nrOvercommitHugePages);
      default -> null;
    };
  }

  /** {@code hugetlb_sysctl_handler()}, writing. */
  @Kernel(file = "mm/hugetlb_sysctl.c", symbol = "hugetlb_sysctl_handler")
  private int hugetlbSysctlHandler(String buffer) {
    Kstrtox.Parsed tmp = ProcSysctl.procDoulongvecMinmax(buffer);
    if (tmp.rc() != 0) {
      return tmp.rc();
    }
    return resize.nrHugepagesStoreCommon0(
        hstates.defaultHstate(), HugetlbInternal.NUMA_NO_NODE, tmp.value());
  }

  /** {@code hugetlb_overcommit_handler()}, writing. */
  @Kernel(file = "mm/hugetlb_sysctl.c", symbol = "hugetlb_overcommit_handler")
  private int hugetlbOvercommitHandler(String buffer) {
    Hstate h = hstates.defaultHstate();
    if (internal.hstateIsGiganticNoRuntime(h)) {
      return -Errno.EINVAL;
    }
    Kstrtox.Parsed tmp = ProcSysctl.procDoulongvecMinmax(buffer);
    if (tmp.rc() == 0) {
      setOvercommit(h, tmp.value());
    }
    return tmp.rc();
  }

  // ---------------------------------------------------------------- /sys

  /** A write below /sys. Files without a store function cannot be opened for it. */
  private int writeSys(String path, String value) {
    Attr attr = attr(path);
    if (attr == null) {
      return -Errno.ENOENT;
    }
    return switch (attr.name()) {
      case "nr_hugepages", "nr_hugepages_mempolicy" ->
          value.isEmpty() ? 0 : nrHugepagesStoreCommon(attr, value);
      case "nr_overcommit_hugepages" ->
          value.isEmpty() ? 0 : nrOvercommitHugepagesStore(attr.h(), value);
      case "demote" -> value.isEmpty() ? 0 : demoteStore(attr, value);
      case "demote_size" -> value.isEmpty() ? 0 : demoteSizeStore(attr.h(), value);
      default -> -Errno.EACCES;
    };
  }

  /**
   * {@code demote_store()}: demotes pages until so many are, or until there are as many free pages
   * as promises. On one node the promises of all nodes are taken off its free pages, and what is
   * less than 0 counts as very much.
   */
  @Kernel(file = "mm/hugetlb_sysfs.c", symbol = "demote_store")
  private int demoteStore(Attr attr, String buf) {
    Kstrtox.Parsed parsed = Kstrtox.kstrtoul(buf, 10);
    if (parsed.rc() != 0) {
      return parsed.rc();
    }
    long nrDemote = parsed.value();
    Hstate h = attr.h();
    int nid = attr.nid();
    boolean global = nid == HugetlbInternal.NUMA_NO_NODE;
    NavigableSet<Integer> mask =
        global ? internal.nodeStatesMemory() : new TreeSet<>(Set.of(nid));
    int err = 0;
    demote.lockResize(h);
    hugetlb.hugetlbLock().lock();
    while (nrDemote != 0) {
      long nrAvailable = global ? h.freeHugePages : h.freeHugePagesNode[nid];
      nrAvailable -= h.resvHugePages;
      if (nrAvailable == 0) {
        break;
      }
      long rc = demote.demotePoolHugePage(h, mask, nrDemote);
      if (rc < 0) {
        err = (int) rc;
        break;
      }
      nrDemote -= rc;
    }
    hugetlb.hugetlbLock().unlock();
    demote.unlockResize(h);
    return err;
  }

  /** {@code demote_size_store()}: a registered size, smaller than the pool's own. */
  @Kernel(file = "mm/hugetlb_sysfs.c", symbol = "demote_size_store")
  private int demoteSizeStore(Hstate h, String buf) {
    Hstate demoteHstate = hstates.sizeToHstate(Kstrtox.memparse(buf));
    if (demoteHstate == null) {
      return -Errno.EINVAL;
    }
    int demoteOrder = demoteHstate.hugePageOrder();
    if (demoteOrder < demote.hugetlbPageOrder() || demoteOrder >= h.hugePageOrder()) {
      return -Errno.EINVAL;
    }
    demote.lockResize(h);
    h.demoteOrder = demoteOrder;
    demote.unlockResize(h);
    return 0;
  }

  /** {@code demote_size_show()}; null where there is no such file. */
  @Kernel(file = "mm/hugetlb_sysfs.c", symbol = "demote_size_show")
  private @Nullable String demoteSizeShow(Hstate h) {
    return h.demoteOrder == 0 ? null : demote.demoteSize(h) / 1024 + "kB";
  }

  /** {@code nr_hugepages_store()}, of all nodes or of one. */
  @Kernel(file = "mm/hugetlb_sysfs.c", symbol = "nr_hugepages_store_common")
  private int nrHugepagesStoreCommon(Attr attr, String buf) {
    Kstrtox.Parsed count = Kstrtox.kstrtoul(buf, 10);
    return count.rc() != 0
        ? count.rc()
        : resize.nrHugepagesStoreCommon0(attr.h(), attr.nid(), count.value());
  }

  /** {@code nr_overcommit_hugepages_store()}: takes effect with the next surplus page. */
  @Kernel(file = "mm/hugetlb_sysfs.c", symbol = "nr_overcommit_hugepages_store")
  private int nrOvercommitHugepagesStore(Hstate h, String buf) {
    if (internal.hstateIsGiganticNoRuntime(h)) {
      return -Errno.EINVAL;
    }
    Kstrtox.Parsed input = Kstrtox.kstrtoul(buf, 10);
    if (input.rc() == 0) {
      setOvercommit(h, input.value());
    }
    return input.rc();
  }

  private void setOvercommit(Hstate h, long pages) {
    hugetlb.hugetlbLock().lock();
    h.nrOvercommitHugePages = pages;
    hugetlb.hugetlbLock().unlock();
  }

  /** The show functions: null for a file that the directory does not have. */
  private @Nullable String show(Attr attr) {
    Hstate h = attr.h();
    boolean global = attr.nid() == HugetlbInternal.NUMA_NO_NODE;
    return switch (attr.name()) {
      case "nr_hugepages" -> number(global, h.nrHugePages, h.nrHugePagesNode, attr.nid());
      case "free_hugepages" -> number(global, h.freeHugePages, h.freeHugePagesNode, attr.nid());
      case "surplus_hugepages" ->
          number(global, h.surplusHugePages, h.surplusHugePagesNode, attr.nid());
      case "resv_hugepages" -> Long.toUnsignedString(h.resvHugePages);
      case "nr_overcommit_hugepages" -> Long.toUnsignedString(h.nrOvercommitHugePages);
      case "nr_hugepages_mempolicy" -> Long.toUnsignedString(h.nrHugePages);
      case "demote_size" -> demoteSizeShow(h);
      default -> null;
    };
  }

  private static String number(boolean global, long all, int[] byNode, int nid) {
    return Long.toUnsignedString(global ? all : byNode[nid]);
  }

  /** {@code kobj_to_hstate()} and the name of the file; null for what does not exist. */
  @Kernel(
      file = "mm/hugetlb_sysfs.c",
      symbol = "kobj_to_hstate",
      fidelity = Kernel.Fidelity.CUSTOM,
      why = "The path is looked up, not the kobject that the path would lead to.")
  private @Nullable Attr attr(String path) {
    Matcher global = GLOBAL.matcher(path);
    Matcher node = NODE.matcher(path);
    Attr attr = null;
    if (global.matches()) {
      attr = attr(global.group(1), HugetlbInternal.NUMA_NO_NODE, global.group(2));
    } else if (node.matches()) {
      attr = nodeAttr(node);
    }
    return attr == null || !exists(attr) ? null : attr;
  }

  /** The group of demote files is made for sizes that have a smaller one. */
  private boolean exists(Attr attr) {
    return attr.name().equals("demote") ? attr.h().demoteOrder != 0 : show(attr) != null;
  }

  /** A file of a node's directory, which has only some of them; null for any other. */
  private @Nullable Attr nodeAttr(Matcher node) {
    Kstrtox.Parsed nid = Kstrtox.kstrtoul(node.group(1), 10);
    String name = node.group(3);
    boolean offered = name.matches("(nr|free|surplus)_hugepages|demote|demote_size");
    if (nid.rc() != 0 || !offered || !internal.nodeOnlineMap().contains((int) nid.value())) {
      return null;
    }
    return attr(node.group(2), (int) nid.value(), name);
  }

  private @Nullable Attr attr(String directory, int nid, String name) {
    for (Hstate h : hstates.all()) {
      if (h.name().equals(directory)) {
        return new Attr(h, nid, name);
      }
    }
    return null;
  }
}
