// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.cli;

import java.util.List;
import org.vmemmap.lab.boot.Cmdline;
import org.vmemmap.lab.boot.DaxOption;
import org.vmemmap.lab.boot.Profile;

/**
 * What a machine gets when nothing was asked for, so that there is something to see.
 *
 * <p>Hugepages: with no word about them on the command line and no {@code --do}, HVO is on and an
 * eighth of the memory, at most 1 GiB, becomes 2 MiB pages. Device: with no {@code --dax} and no
 * device memory from {@code memmap=}, one device of 2 GiB. Machines from a file get neither.
 */
final class Defaults {
  static final long MEM = 8L << 30;
  static final int NODES = 2;
  private static final long MOST_HUGEPAGES = 512;
  private static final long SHARE = 8;

  private Defaults() {}

  /** The kernel parameters to add. */
  static List<String> cmdline(long mem, List<String> words, List<String> actions) {
    for (Cmdline.Param param : Cmdline.params(words)) {
      if (param.name().contains("huge")) {
        return List.of();
      }
    }
    if (!actions.isEmpty()) {
      return List.of();
    }
    long hugepages = Math.min(MOST_HUGEPAGES, (mem / SHARE) >> 21);
    return List.of("hugetlb_free_vmemmap=on", "hugepages=" + hugepages);
  }

  /** The kernel parameters to add on a machine whose hugepages have this size, 0 for none. */
  static List<String> hugepages(
      long mem, long hugepage, List<String> words, List<String> actions) {
    boolean named = Cmdline.params(words).stream().anyMatch(param -> param.name().contains("huge"));
    if (named || !actions.isEmpty() || hugepage == 0) {
      return List.of();
    }
    long bytes = Math.min(mem / SHARE, MOST_HUGEPAGES << 21);
    return bytes < hugepage ? List.of() : List.of("hugepages=" + bytes / hugepage);
  }

  /** The device to add: pages as large as hugepages. */
  static DaxOption dax(Profile profile, long hugepage) {
    boolean pmem = profile.arch().equals(Profile.POWERPC);
    long align = profile.hash() && profile.pageSize() == 4096 ? 4096 : hugepage;
    return new DaxOption(
        DaxOption.DEFAULT.size(), align == 0 ? profile.pageSize() : align, false, pmem, 0);
  }

  /** The devices to add. */
  static List<DaxOption> dax(List<String> words) {
    for (Cmdline.Param param : Cmdline.params(words)) {
      if (param.is("memmap") && (param.text().contains("%") || param.text().contains("!"))) {
        return List.of();
      }
    }
    return List.of(DaxOption.DEFAULT);
  }
}
