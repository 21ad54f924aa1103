// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.cli;

import org.jspecify.annotations.Nullable;
import org.vmemmap.lab.boot.BadInput;
import org.vmemmap.lab.boot.Boards;
import org.vmemmap.lab.boot.Numbers;
import org.vmemmap.lab.boot.Profile;
import org.vmemmap.lab.boot.Sizes;

/** The options that choose an architecture and its kernel. */
final class Profiles {
  private static final int K4 = 4096;

  private Profiles() {}

  /**
   * The kernel that the options name; null for a PC's, which {@code --levels} chooses.
   *
   * @throws BadInput for a combination that does not exist
   */
  static @Nullable Profile of(MachineOptions options) {
    String file = options.machine;
    boolean named = !options.arch.equals(Profile.X86_64);
    boolean more = options.pageSize != null || options.vaBits != null || options.mmu != null;
    if (file != null && (named || more)) {
      throw new BadInput(
          "--machine " + file + ": it says the machine, leave out --arch and what goes with it");
    }
    return switch (options.arch) {
      case Profile.X86_64 -> pc(options);
      case Profile.ARM64 -> arm64(options);
      case Profile.POWERPC -> powerpc(options);
      default ->
          throw new BadInput("--arch " + options.arch + ": wanted x86-64, arm64 or powerpc");
    };
  }

  private static int pageSize(MachineOptions options) {
    String size = options.pageSize;
    return size == null ? K4 : (int) Math.min(Sizes.size("--page-size", size), 1 << 30);
  }

  private static @Nullable Profile pc(MachineOptions options) {
    refuse(options, "--va-bits", options.vaBits, "arm64");
    refuse(options, "--mmu", options.mmu, "powerpc");
    if (pageSize(options) != K4) {
      throw new BadInput(
          "--page-size " + options.pageSize + ": x86-64 has pages of 4K, others go with --arch");
    }
    return null;
  }

  private static Profile arm64(MachineOptions options) {
    refuse(options, "--levels", options.levels, "x86-64");
    refuse(options, "--mmu", options.mmu, "powerpc");
    String bits = options.vaBits;
    Integer vaBits = bits == null ? null : (Integer) Numbers.parse("--va-bits", bits, 36, 52);
    return Boards.arm64(pageSize(options), vaBits);
  }

  private static Profile powerpc(MachineOptions options) {
    refuse(options, "--levels", options.levels, "x86-64");
    refuse(options, "--va-bits", options.vaBits, "arm64");
    String mmu = options.mmu;
    return Boards.powerpc(pageSize(options), mmu == null ? Profile.RADIX : mmu);
  }

  private static void refuse(
      MachineOptions options, String option, @Nullable String value, String arch) {
    if (value != null) {
      throw new BadInput(
          option + " " + value + ": goes with --arch " + arch + ", not " + options.arch);
    }
  }
}
