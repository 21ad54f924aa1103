// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.hugetlb;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.ToIntFunction;
import org.jspecify.annotations.Nullable;
import org.vmemmap.types.Errno;
import org.vmemmap.types.Kernel;
import org.vmemmap.types.Kstrtox;
import org.vmemmap.types.Mm;

/**
 * The part of mm/hugetlb.c that reads the command line.
 *
 * <p>A {@code hugepages=} belongs to the {@code hugepagesz=} or {@code default_hugepagesz=} before
 * it, and to the default size if there is none. The parameters are early ones, but which sizes and
 * nodes exist is not known that early; so they are only collected, in order, and read when {@link
 * HugetlbBootmem} asks.
 */
@Kernel(file = "mm/hugetlb.c", symbol = "hugetlb_early_param")
public final class HugetlbParams {
  private static final int COMMAND_LINE_SIZE = 2048;

  private final Mm mm;
  private final HugetlbArch arch;
  private final HugetlbCma cma;
  private final Hstates hstates;
  private final HugetlbInternal internal;
  private final HugetlbVmemmap vmemmap;
  private final List<HugetlbCmdline> hugetlbParams = new ArrayList<>();
  private int hstateCmdlineIndex;
  private boolean parsedValidHugepagesz = true;
  private boolean mhpSeen;
  private @Nullable Hstate lastMhp;

  /** {@code default_hstate_max_huge_pages}: the wish for the default size before it is known. */
  long defaultHstateMaxHugePages;

  /** {@code default_hugepages_in_node}. */
  final int[] defaultHugepagesInNode;

  /** {@code parsed_default_hugepagesz}: there was a default_hugepagesz=. */
  boolean parsedDefaultHugepagesz;

  /** {@code hugepage_allocation_threads}; 0 when not given. */
  long hugepageAllocationThreads;

  /** {@code struct hugetlb_cmdline}: a value and who reads it. */
  @Kernel(file = "mm/hugetlb.c", symbol = "struct hugetlb_cmdline")
  private record HugetlbCmdline(String val, ToIntFunction<String> setup) {}

  /** Reads the wishes for {@code hstates}. */
  public HugetlbParams(
      Mm mm,
      HugetlbArch arch,
      HugetlbCma cma,
      Hstates hstates,
      HugetlbInternal internal,
      HugetlbVmemmap vmemmap) {
    this.mm = mm;
    this.arch = arch;
    this.cma = cma;
    this.hstates = hstates;
    this.internal = internal;
    this.vmemmap = vmemmap;
    this.defaultHugepagesInNode = new int[internal.maxNumnodes()];
  }

  /**
   * Hands one {@code name=value} of the command line over, in its order. Nothing happens before
   * {@link HugetlbBootmem#hugetlbBootmemAlloc}, but for hugetlb_free_vmemmap.
   *
   * @param value null for a name without {@code =}
   * @return null for a name that is none of HugeTLB's; 0; or -EINVAL, which the kernel reports as a
   *     malformed early option
   */
  public @Nullable Integer earlyParam(String name, @Nullable String value) {
    return switch (name) {
      case "hugepages" -> hugetlbAddParam(value, this::hugepagesSetup);
      case "hugepagesz" -> hugetlbAddParam(value, this::hugepageszSetup);
      case "default_hugepagesz" -> hugetlbAddParam(value, this::defaultHugepageszSetup);
      case "hugetlb_free_vmemmap" -> freeVmemmap(value);
      case "hugepage_alloc_threads" -> hugepageAllocThreadsSetup(value);
      default -> null;
    };
  }

  /** Not a parameter at all of a kernel that is built without HVO. */
  private @Nullable Integer freeVmemmap(@Nullable String value) {
    return mm.config().hugetlbOptimizeVmemmap() ? vmemmap.hugetlbVmemmapOptimizeParam(value) : null;
  }

  /** Forgets what a bad parameter has set so far: a half-read wish is no wish. */
  @Kernel(file = "mm/hugetlb.c", symbol = "hugepages_clear_pages_in_node")
  private void hugepagesClearPagesInNode() {
    Hstate parsed = hstates.parsedHstate;
    if (parsed == null) {
      defaultHstateMaxHugePages = 0;
      Arrays.fill(defaultHugepagesInNode, 0);
    } else {
      parsed.maxHugePages = 0;
      Arrays.fill(parsed.maxHugePagesNode, 0);
    }
  }

  /** One pair of hugepagesz= and hugepages= for each size, and one default_hugepagesz=. */
  @Kernel(file = "mm/hugetlb.c", symbol = "HUGE_MAX_CMDLINE_ARGS")
  private int hugeMaxCmdlineArgs() {
    return 2 * hstates.hugeMaxHstate() + 1;
  }

  /** Keeps a value for later: 0, or -EINVAL when there is none or no room for it. */
  @Kernel(file = "mm/hugetlb.c", symbol = "hugetlb_add_param")
  private int hugetlbAddParam(@Nullable String s, ToIntFunction<String> setup) {
    if (s == null) {
      return -Errno.EINVAL;
    }
    if (hugetlbParams.size() >= hugeMaxCmdlineArgs()) {
      return -Errno.EINVAL;
    }
    int len = s.length() + 1;
    if (len + hstateCmdlineIndex > COMMAND_LINE_SIZE) {
      return -Errno.EINVAL;
    }
    hstateCmdlineIndex += len;
    hugetlbParams.add(new HugetlbCmdline(s, setup));
    return 0;
  }

  /** {@code hugetlb_parse_params()}: reads what was collected. Nodes and zones exist now. */
  @Kernel(file = "mm/hugetlb.c", symbol = "hugetlb_parse_params")
  void hugetlbParseParams() {
    for (HugetlbCmdline hcp : hugetlbParams) {
      // Nobody looks at the result: each has said in the log what it did not like.
      var _ = hcp.setup().applyAsInt(hcp.val());
    }
    cma.hugetlbCmaValidateParams();
  }

  /** {@code hugepages_supported()}. */
  @Kernel(file = "include/linux/hugetlb.h", symbol = "hugepages_supported")
  boolean hugepagesSupported() {
    return arch.hpageSize() != 0;
  }

  /** {@code hugepages=N} or {@code hugepages=node:N,node:N...}. */
  @Kernel(file = "mm/hugetlb.c", symbol = "hugepages_setup")
  private int hugepagesSetup(String s) {
    if (!hugepagesSupported()) {
      mm.printk()
          .prWarn("HugeTLB: hugepages unsupported, ignoring hugepages=" + s + " cmdline");
      return 0;
    }
    if (!parsedValidHugepagesz) {
      mm.printk()
          .prWarn("HugeTLB: hugepages=" + s + " does not follow a valid hugepagesz, ignoring");
      parsedValidHugepagesz = true;
      return -Errno.EINVAL;
    }
    // Before the first size, parsed_hstate is null, which stands for the default size.
    Hstate mhp = hstates.parsedHstate;
    if (mhpSeen && mhp == lastMhp) {
      mm.printk()
          .prWarn(
              "HugeTLB: hugepages= specified twice without interleaving hugepagesz=, ignoring"
                  + " hugepages="
                  + s);
      return 1;
    }
    int rc = parseHugepages(mhp, s);
    if (rc == 0) {
      mhpSeen = true;
      lastMhp = mhp;
    }
    return rc;
  }

  /** The loop of hugepages_setup() over the nodes. */
  private int parseHugepages(@Nullable Hstate mhp, String s) {
    int p = 0;
    while (p < s.length()) {
      Kstrtox.Digits tmp = Kstrtox.scanUnsigned(s.substring(p));
      int end = p + tmp.length();
      if (tmp.length() == 0) {
        return invalid(s.substring(p));
      }
      if (end == s.length() || s.charAt(end) != ':') {
        if (p != 0) {
          return invalid(s.substring(p));
        }
        setWish(mhp, tmp.value());
        break;
      }
      if (!arch.hugetlbNodeAllocSupported()) {
        mm.printk().prWarn("HugeTLB: architecture can't support node specific alloc, ignoring!");
        return 1;
      }
      if (Long.compareUnsigned(tmp.value(), internal.maxNumnodes()) >= 0
          || !internal.nodeOnlineMap().contains((int) tmp.value())) {
        return invalid(s.substring(p));
      }
      int node = (int) tmp.value();
      p = end + 1;
      tmp = Kstrtox.scanUnsigned(s.substring(p));
      if (tmp.length() == 0) {
        return invalid(s.substring(p));
      }
      (mhp == null ? defaultHugepagesInNode : mhp.maxHugePagesNode)[node] = (int) tmp.value();
      setWish(mhp, wish(mhp) + tmp.value());
      end = p + tmp.length();
      if (end == s.length() || s.charAt(end) != ',') {
        break;
      }
      p = end + 1;
    }
    return 0;
  }

  /** Says what could not be read, from the bad part on, and gives up. */
  private int invalid(String p) {
    mm.printk().prWarn("HugeTLB: Invalid hugepages parameter " + p);
    hugepagesClearPagesInNode();
    return -Errno.EINVAL;
  }

  /** {@code *mhp}. */
  private long wish(@Nullable Hstate mhp) {
    return mhp == null ? defaultHstateMaxHugePages : mhp.maxHugePages;
  }

  /** {@code *mhp = value}. */
  private void setWish(@Nullable Hstate mhp, long value) {
    if (mhp == null) {
      defaultHstateMaxHugePages = value;
    } else {
      mhp.maxHugePages = value;
    }
  }

  /** {@code hugepagesz=}: registers a size; the hugepages= that follows belongs to it. */
  @Kernel(file = "mm/hugetlb.c", symbol = "hugepagesz_setup")
  private int hugepageszSetup(String s) {
    if (!hugepagesSupported()) {
      mm.printk()
          .prWarn("HugeTLB: hugepages unsupported, ignoring hugepagesz=" + s + " cmdline");
      return 0;
    }
    parsedValidHugepagesz = false;
    long size = Kstrtox.memparse(s);
    if (!arch.archHugetlbValidSize(size)) {
      mm.printk().prErr("HugeTLB: unsupported hugepagesz=" + s);
      return -Errno.EINVAL;
    }
    Hstate h = hstates.sizeToHstate(size);
    if (h != null) {
      // Twice is an error, unless default_hugepagesz= made it and no number was given yet.
      if (!parsedDefaultHugepagesz
          || h != hstates.defaultHstate()
          || hstates.defaultHstate().maxHugePages != 0) {
        mm.printk().prWarn("HugeTLB: hugepagesz=" + s + " specified twice, ignoring");
        return -Errno.EINVAL;
      }
      hstates.parsedHstate = h;
      parsedValidHugepagesz = true;
      return 0;
    }
    hstates.hugetlbAddHstate(orderOf(size));
    parsedValidHugepagesz = true;
    return 0;
  }

  /** {@code default_hugepagesz=}: the size for whoever asks for none; once only. */
  @Kernel(file = "mm/hugetlb.c", symbol = "default_hugepagesz_setup")
  private int defaultHugepageszSetup(String s) {
    if (!hugepagesSupported()) {
      mm.printk()
          .prWarn("HugeTLB: hugepages unsupported, ignoring default_hugepagesz=" + s + " cmdline");
      return 0;
    }
    parsedValidHugepagesz = false;
    if (parsedDefaultHugepagesz) {
      mm.printk().prErr("HugeTLB: default_hugepagesz previously specified, ignoring " + s);
      return -Errno.EINVAL;
    }
    long size = Kstrtox.memparse(s);
    if (!arch.archHugetlbValidSize(size)) {
      mm.printk().prErr("HugeTLB: unsupported default_hugepagesz=" + s);
      return -Errno.EINVAL;
    }
    hstates.hugetlbAddHstate(orderOf(size));
    parsedValidHugepagesz = true;
    parsedDefaultHugepagesz = true;
    hstates.defaultHstateIdx = hstates.indexOfSize(size);
    adoptDefaultWish();
    return 0;
  }

  /** A hugepages= that came before any size is for the default one; it may be gigantic. */
  private void adoptDefaultWish() {
    if (defaultHstateMaxHugePages == 0) {
      return;
    }
    Hstate h = hstates.defaultHstate();
    h.maxHugePages = defaultHstateMaxHugePages;
    for (int i = 0; i < defaultHugepagesInNode.length; i++) {
      if (defaultHugepagesInNode[i] != 0) {
        h.maxHugePagesNode[i] = defaultHugepagesInNode[i];
      }
    }
    defaultHstateMaxHugePages = 0;
  }

  /** {@code hugepage_alloc_threads=}: only printed; see {@link HugetlbBootmem}. */
  @Kernel(file = "mm/hugetlb.c", symbol = "hugepage_alloc_threads_setup")
  private int hugepageAllocThreadsSetup(@Nullable String s) {
    Kstrtox.Parsed threads = Kstrtox.kstrtoul(s == null ? "" : s, 0);
    if (threads.rc() == 0 && threads.value() != 0) {
      hugepageAllocationThreads = threads.value();
    }
    // The kernel's 1 for "mine" means success here.
    return 0;
  }

  private int orderOf(long size) {
    return Long.numberOfTrailingZeros(size) - mm.model().pageShift();
  }
}
