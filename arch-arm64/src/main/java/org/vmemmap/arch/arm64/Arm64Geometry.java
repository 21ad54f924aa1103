// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.arch.arm64;

import org.vmemmap.types.Kernel;

/**
 * Addresses and sizes of an arm64 kernel on one kind of CPU.
 *
 * <pre>
 *   granule  VA   levels  bits per level, top first   block    built for   needs of the CPU
 *   4K       39   3           9 9 9 + 12              2M 1G    39
 *   4K       48   4         9 9 9 9 + 12              2M 1G    48 or 52
 *   4K       52   5       4 9 9 9 9 + 12              2M 1G    52          LPA2
 *   16K      47   3        11 11 11 + 14              32M      47 or 52
 *   16K      48   4      1 11 11 11 + 14              32M      48
 *   16K      52   4      5 11 11 11 + 14              32M      52          LPA2
 *   64K      42   2           13 13 + 16              512M     42
 *   64K      48   3         6 13 13 + 16              512M     48 or 52
 *   64K      52   3        10 13 13 + 16              512M     52          LVA
 *
 *   kernel half of the address space
 *   PAGE_OFFSET = -(1 &lt;&lt; VA_BITS)   linear map, as large as the half
 *   VMEMMAP_START ..  -1 GiB          memmap of all that the linear map can hold
 * </pre>
 *
 * @param pageShift log2 of the granule: 12, 14 or 16
 * @param configVaBits VA_BITS: the width that the kernel was built for
 * @param vaBits vabits_actual: the width in use, smaller than VA_BITS on a CPU that lacks 52 bits
 * @param physBits PHYS_MASK_SHIFT: 48, or 52 with LPA2 or with 64K pages and a 52-bit kernel
 * @param nonGlobal arm64_use_ng_mappings: kernel mappings carry nG, because user space runs on other
 *     tables (page-table isolation)
 * @param hardwareDirty the CPU manages dirty state: a write through a read-only entry with DBM
 *     is allowed
 */
@Kernel(file = "arch/arm64/include/asm/pgtable-hwdef.h", symbol = "ARM64_HW_PGTABLE_LEVELS")
public record Arm64Geometry(
    int pageShift, int configVaBits, int vaBits, int physBits, boolean nonGlobal, boolean hardwareDirty) {
  private static final int SHIFT_4K = 12;
  private static final int SHIFT_16K = 14;
  private static final int SHIFT_64K = 16;
  private static final int WIDE = 52;
  private static final int PTDESC_ORDER = 3;

  /** Checks that such a kernel can be built and that it can run on such a CPU. */
  public Arm64Geometry {
    boolean granule = pageShift == SHIFT_4K || pageShift == SHIFT_16K || pageShift == SHIFT_64K;
    boolean fallback = configVaBits == WIDE && vaBits == vaBitsMin(pageShift, configVaBits);
    boolean bits = vaBits == configVaBits || fallback;
    boolean lpa2 = pageShift == SHIFT_64K || (physBits == WIDE) == (vaBits == WIDE);
    if (!granule || !bits || !lpa2 || (physBits != 48 && physBits != WIDE)) {
      throw new IllegalArgumentException(
          "pageShift=" + pageShift + " configVaBits=" + configVaBits + " vaBits=" + vaBits
              + " physBits=" + physBits);
    }
  }

  /** 4K pages, built for 52 bits, on a CPU with LPA2. */
  public static Arm64Geometry lpa2With4k() {
    return new Arm64Geometry(SHIFT_4K, WIDE, WIDE, WIDE, false, true);
  }

  /** The same kernel on a CPU without LPA2: 48 bits. */
  public static Arm64Geometry fallbackWith4k() {
    return new Arm64Geometry(SHIFT_4K, WIDE, 48, 48, false, true);
  }

  /** 16K pages, built for 52 bits, on a CPU with LPA2. */
  public static Arm64Geometry lpa2With16k() {
    return new Arm64Geometry(SHIFT_16K, WIDE, WIDE, WIDE, false, true);
  }

  /** The same kernel on a CPU without LPA2: 47 bits, which saves a level. */
  public static Arm64Geometry fallbackWith16k() {
    return new Arm64Geometry(SHIFT_16K, WIDE, 47, 48, false, true);
  }

  /** 64K pages, built for 52 bits, on a CPU with LVA. */
  public static Arm64Geometry lvaWith64k() {
    return new Arm64Geometry(SHIFT_64K, WIDE, WIDE, WIDE, false, true);
  }

  /** The same kernel on a CPU without LVA: 48 bits. Descriptors keep their 52-bit form. */
  public static Arm64Geometry fallbackWith64k() {
    return new Arm64Geometry(SHIFT_64K, WIDE, 48, WIDE, false, true);
  }

  /** A kernel built for {@code vaBits} bits, less than 52, and 48 physical bits. */
  public static Arm64Geometry narrow(int pageShift, int vaBits) {
    return new Arm64Geometry(pageShift, vaBits, vaBits, 48, false, true);
  }

  /** The same with page-table isolation: kernel mappings are not global. */
  public Arm64Geometry withNonGlobal() {
    return new Arm64Geometry(pageShift, configVaBits, vaBits, physBits, true, hardwareDirty);
  }

  /** The same on a CPU that does not manage dirty state. */
  public Arm64Geometry withoutHardwareDirty() {
    return new Arm64Geometry(pageShift, configVaBits, vaBits, physBits, nonGlobal, false);
  }

  /** True when descriptors have the LPA2 form: two address bits where shareability was. */
  @Kernel(file = "arch/arm64/include/asm/pgtable-prot.h", symbol = "lpa2_is_enabled")
  public boolean lpa2() {
    return pageShift != SHIFT_64K && physBits == WIDE;
  }

  /** Index bits of every table but the root. */
  @Kernel(file = "arch/arm64/include/asm/pgtable-hwdef.h", symbol = "PTDESC_TABLE_SHIFT")
  public int tableShift() {
    return pageShift - PTDESC_ORDER;
  }

  /** Levels that a walk takes. */
  @Kernel(file = "arch/arm64/include/asm/pgtable-hwdef.h", symbol = "ARM64_HW_PGTABLE_LEVELS")
  public int levels() {
    return (vaBits - PTDESC_ORDER - 1) / tableShift();
  }

  /** CONFIG_PGTABLE_LEVELS: the levels that the kernel was built for; a fallback uses fewer. */
  @Kernel(file = "arch/arm64/include/asm/pgtable-hwdef.h", symbol = "ARM64_HW_PGTABLE_LEVELS")
  public int configLevels() {
    return (configVaBits - PTDESC_ORDER - 1) / tableShift();
  }

  /**
   * log2 of the bytes behind an entry, as the macros of the build have it: PMD_SHIFT, PUD_SHIFT,
   * P4D_SHIFT and PGDIR_SHIFT. A level that the build lacks has the size of its top level.
   */
  @Kernel(file = "arch/arm64/include/asm/pgtable-hwdef.h", symbol = "PGDIR_SHIFT")
  public int configShift(int level) {
    return levelShift(Math.min(level, configLevels() - 1));
  }

  /** CONT_PTE_SIZE in bytes. */
  @Kernel(file = "arch/arm64/include/asm/pgtable-hwdef.h", symbol = "CONT_PTE_SIZE")
  public long contPteSize() {
    return (long) contiguousEntries(0) << pageShift;
  }

  /** CONT_PMD_SIZE in bytes. */
  @Kernel(file = "arch/arm64/include/asm/pgtable-hwdef.h", symbol = "CONT_PMD_SIZE")
  public long contPmdSize() {
    return (long) contiguousEntries(1) << levelShift(1);
  }

  /**
   * log2 of the bytes behind an entry.
   *
   * @param level counted from the leaf, so 3 less the manual's number
   */
  @Kernel(file = "arch/arm64/include/asm/pgtable-hwdef.h", symbol = "ARM64_HW_PGTABLE_LEVEL_SHIFT")
  public int levelShift(int level) {
    return tableShift() * (level + 1) + PTDESC_ORDER;
  }

  /**
   * Entries of a table. The root of a 52-bit kernel that fell back has room for more, of which the
   * CPU is shown the last part; here only that part is the root.
   */
  @Kernel(file = "arch/arm64/include/asm/pgtable-hwdef.h", symbol = "PTRS_PER_PGD")
  public int entries(int level) {
    return level == levels() - 1 ? 1 << (vaBits - levelShift(level)) : 1 << tableShift();
  }

  /** True when the kernel maps memory by an entry of a table at {@code level}. */
  @Kernel(file = "arch/arm64/include/asm/pgtable.h", symbol = "pud_sect_supported")
  public boolean leafLevel(int level) {
    return level <= 1 || (level == 2 && pageShift == SHIFT_4K);
  }

  /** CONT_PTES and CONT_PMDS: entries of a run that may share a translation; 0 for none. */
  @Kernel(file = "arch/arm64/include/asm/pgtable-hwdef.h", symbol = "CONT_PTES")
  public int contiguousEntries(int level) {
    return switch (level) {
      case 0 -> pageShift == SHIFT_4K ? 16 : pageShift == SHIFT_16K ? 128 : 32;
      case 1 -> pageShift == SHIFT_4K ? 16 : 32;
      default -> 0;
    };
  }

  /** SECTION_SIZE_BITS: 128 MiB, with 64K pages 512 MiB. */
  @Kernel(file = "arch/arm64/include/asm/sparsemem.h", symbol = "SECTION_SIZE_BITS")
  public int sectionSizeBits() {
    return pageShift == SHIFT_64K ? 29 : 27;
  }

  /** MAX_PHYSMEM_BITS. */
  @Kernel(file = "arch/arm64/include/asm/sparsemem.h", symbol = "MAX_PHYSMEM_BITS")
  public int maxPhysmemBits() {
    return physBits;
  }

  /** VA_BITS_MIN: the least width that this kernel runs with. */
  @Kernel(file = "arch/arm64/include/asm/memory.h", symbol = "VA_BITS_MIN")
  public int vaBitsMin() {
    return vaBitsMin(pageShift, configVaBits);
  }

  private static int vaBitsMin(int pageShift, int configVaBits) {
    return configVaBits <= 48 ? configVaBits : pageShift == SHIFT_16K ? 47 : 48;
  }

  /** PAGE_OFFSET: the start of the linear map. */
  @Kernel(file = "arch/arm64/include/asm/memory.h", symbol = "PAGE_OFFSET")
  public long pageOffset() {
    return -(1L << configVaBits);
  }

  /** PAGE_END: the end of the linear map, where it is for the least width. */
  @Kernel(file = "arch/arm64/include/asm/memory.h", symbol = "PAGE_END")
  public long pageEnd() {
    return -(1L << (vaBitsMin() - 1));
  }

  /** VMEMMAP_END, as an address: 1 GiB below the top. */
  @Kernel(file = "arch/arm64/include/asm/memory.h", symbol = "VMEMMAP_END")
  public long vmemmapEnd() {
    return -(1L << 30);
  }

  /** VMEMMAP_SIZE in bytes: struct pages for the whole linear map of the wider kernel. */
  @Kernel(file = "arch/arm64/include/asm/memory.h", symbol = "VMEMMAP_SIZE")
  public long vmemmapSize(int sizeofStructPage) {
    long range = pageEnd() - pageOffset();
    return (range >>> pageShift) * sizeofStructPage;
  }

  /** VMEMMAP_START. */
  @Kernel(file = "arch/arm64/include/asm/memory.h", symbol = "VMEMMAP_START")
  public long vmemmapStart(int sizeofStructPage) {
    return vmemmapEnd() - vmemmapSize(sizeofStructPage);
  }

  /**
   * {@code vmemmap}: the address of the struct page of pfn 0, which need not lie in the area.
   *
   * @param memstart memstart_addr: what the linear map starts with; negative after a fallback
   */
  @Kernel(file = "arch/arm64/include/asm/pgtable.h", symbol = "vmemmap")
  public long vmemmapBase(int sizeofStructPage, long memstart) {
    return vmemmapStart(sizeofStructPage) - (memstart >> pageShift) * sizeofStructPage;
  }

  /** ARM64_MEMSTART_ALIGN in bytes: what memstart_addr is rounded down to. */
  @Kernel(file = "arch/arm64/mm/init.c", symbol = "ARM64_MEMSTART_ALIGN")
  public long memstartAlign() {
    int shift =
        switch (pageShift) {
          case SHIFT_4K -> levelShift(2);
          case SHIFT_16K -> levelShift(1) + 5;
          default -> levelShift(1);
        };
    return 1L << Math.max(shift, sectionSizeBits());
  }
}
