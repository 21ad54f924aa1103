// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.boot;

import org.vmemmap.types.MmConfig;

/**
 * The processor of a machine, and what its kernel was built for: all that decides page tables and
 * addresses.
 *
 * @param arch {@code x86-64}, {@code arm64} or {@code powerpc}
 * @param mmu {@code radix} or {@code hash}; empty for architectures with one MMU
 * @param pageSize bytes of a base page
 * @param levels page-table levels in use
 * @param vaBits width of virtual addresses in use; 0 where levels say it all
 * @param configVaBits width that the kernel was built for; larger than {@code vaBits} on a CPU that
 *     cannot do it; 0 where levels say it all
 * @param vmemmapBase virtual address of the struct page of pfn 0; may be random, then it is an
 *     input
 * @param vmemmapPageSize bytes of the blocks that the hash MMU maps the memmap with; 0 for others
 */
public record Profile(
    String arch,
    String mmu,
    int pageSize,
    int levels,
    int vaBits,
    int configVaBits,
    long vmemmapBase,
    long vmemmapPageSize) {
  /** The architectures, as in the names of case folders. */
  public static final String X86_64 = "x86-64";

  /** The name of 64-bit Arm. */
  public static final String ARM64 = "arm64";

  /** The name of 64-bit POWER servers. */
  public static final String POWERPC = "powerpc";

  /** The hash MMU of powerpc. */
  public static final String HASH = "hash";

  /** The radix MMU of powerpc. */
  public static final String RADIX = "radix";

  /** Checks what can be checked without the others. @throws BadInput for an unknown name */
  public Profile {
    boolean known = arch.equals(X86_64) || arch.equals(ARM64) || arch.equals(POWERPC);
    if (!known) {
      throw new BadInput("arch " + arch + ": wanted x86-64, arm64 or powerpc");
    }
    if (arch.equals(X86_64) && levels != 4 && levels != 5) {
      throw new BadInput("page-table levels " + levels + ": wanted 4 or 5");
    }
    if (arch.equals(POWERPC) && !mmu.equals(RADIX) && !mmu.equals(HASH)) {
      throw new BadInput("mmu " + mmu + ": wanted radix or hash");
    }
    if (Integer.bitCount(pageSize) != 1) {
      throw new BadInput("page size " + pageSize + ": wanted a power of two");
    }
  }

  /** A PC. */
  public static Profile x86(int levels, long vmemmapBase) {
    return new Profile(X86_64, "", 4096, levels, 0, 0, vmemmapBase, 0);
  }

  /** How the distribution's kernel for this profile is built. */
  public MmConfig config() {
    return switch (arch) {
      case ARM64 -> Arm64Platform.config(this);
      case POWERPC -> PowerpcPlatform.config(this);
      default -> MmConfig.debianX86().withMaxPhysmemBits(levels == 5 ? 52 : 46);
    };
  }

  /** log2 of the base page. */
  public int pageShift() {
    return Integer.numberOfTrailingZeros(pageSize);
  }

  /** True for the hash MMU. */
  public boolean hash() {
    return mmu.equals(HASH);
  }

  /** What tells this profile from others, as a heading has it. */
  public String text() {
    String pages = arch.equals(X86_64) ? "" : " " + Sizes.text(pageSize) + " pages";
    String width = vaBits == 0 || arch.equals(POWERPC) ? "" : ", " + vaBits + "-bit VA";
    String unit = mmu.isEmpty() ? "" : ", " + mmu;
    String blocks =
        hash() ? " with " + Sizes.text(vmemmapPageSize) + " blocks" : " " + levels + "-level";
    return arch + pages + width + unit + blocks;
  }
}
