// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.arch.arm64;

import org.vmemmap.types.Align;
import org.vmemmap.types.Kernel;
import org.vmemmap.types.MmConfig;
import org.vmemmap.types.ZoneSet;
import org.vmemmap.types.ZoneType;

/**
 * Where memory lies in the address space, and how far its zones reach.
 *
 * <pre>
 *   memory            1G ......... 3G        memstart_addr = 1G on a CPU with all 52 bits
 *
 *   PAGE_OFFSET       memstart
 *   |                 |
 *   v linear map      v                        52 bits:  PAGE_OFFSET maps memstart
 *   |#########|.............|..............|
 *   |.............|#########|..............|   48 bits:  only the upper part can be used, so
 *                 ^ -(1 &lt;&lt; 48)                          memstart is lowered by the difference
 * </pre>
 *
 * The struct page of pfn 0 follows from memstart ({@link Arm64Geometry#vmemmapBase}), and with it
 * the address of every struct page. As the machine and the memory manager need these addresses from
 * the start, this part of the boot comes before all others; it looks at the ends of RAM only.
 */
@Kernel(file = "arch/arm64/mm/init.c", symbol = "arm64_memblock_init")
public final class Arm64Init {
  private static final long DMA_BIT_MASK_32 = (1L << 32) - 1;

  private final Arm64Geometry geometry;
  private final MmConfig config;
  private final long startOfDram;
  private final long endOfDram;
  private final long memstartAddr;
  private final long zoneDmaLimit;

  /**
   * Decides for RAM from {@code startOfDram} up to {@code endOfDram}, in bytes; what {@code mem=}
   * cuts off still counts at its start, never at its end.
   *
   * @throws IllegalArgumentException for RAM that the linear map of this width cannot hold: the
   *     kernel would cut some of it off, which is not modelled
   */
  public Arm64Init(Arm64Geometry geometry, MmConfig config, long startOfDram, long endOfDram) {
    this.geometry = geometry;
    this.config = config;
    this.startOfDram = startOfDram;
    this.endOfDram = endOfDram;
    this.memstartAddr = arm64MemblockInit();
    this.zoneDmaLimit = dmaLimitsInit();
  }

  /** The first address behind a zone that may hold addresses up to {@code zoneLimit}. */
  @Kernel(file = "arch/arm64/mm/init.c", symbol = "max_zone_phys")
  private long maxZonePhys(long zoneLimit) {
    return Math.min(zoneLimit, endOfDram - 1) + 1;
  }

  /**
   * {@code arch_zone_limits_init()}: by zone number, first pfn behind each zone. ZONE_DMA takes all
   * that 32 bits can address, so ZONE_DMA32 is empty, if both exist.
   */
  @Kernel(file = "arch/arm64/mm/init.c", symbol = "arch_zone_limits_init")
  public long[] archZoneLimitsInit() {
    ZoneSet zones = config.zones();
    long[] maxZonePfns = new long[zones.maxNrZones()];
    if (config.zoneDma()) {
      maxZonePfns[zones.number(ZoneType.ZONE_DMA)] = pfnDown(maxZonePhys(zoneDmaLimit));
    }
    if (config.zoneDma32()) {
      maxZonePfns[zones.number(ZoneType.ZONE_DMA32)] = pfnDown(maxZonePhys(DMA_BIT_MASK_32));
    }
    maxZonePfns[zones.number(ZoneType.ZONE_NORMAL)] = maxPfn();
    return maxZonePfns;
  }

  /** zone_dma_limit: the highest address of ZONE_DMA. */
  @Kernel(
      file = "arch/arm64/mm/init.c",
      symbol = "dma_limits_init",
      fidelity = Kernel.Fidelity.CUSTOM,
      why = "Firmware names no narrower limit; arm64_dma_phys_limit has no readers here.")
  private long dmaLimitsInit() {
    return startOfDram < DMA_BIT_MASK_32 ? DMA_BIT_MASK_32 : Long.MAX_VALUE - 1;
  }

  /** Chooses memstart_addr. */
  @Kernel(
      file = "arch/arm64/mm/init.c",
      symbol = "arm64_memblock_init",
      fidelity = Kernel.Fidelity.CUSTOM,
      why =
          "Works on the ends of RAM, as memblock is filled later. Nothing is cut off: memory that"
              + " does not fit is refused. mem=, initrd and nVHE are not modelled; nor is KASLR,"
              + " which no longer moves memstart_addr.")
  private long arm64MemblockInit() {
    long linearRegionSize = geometry.pageEnd() + (1L << geometry.vaBits());
    long memstart = Align.alignDown(startOfDram, geometry.memstartAlign());
    boolean fits = endOfDram - memstart <= linearRegionSize;
    if (!fits || Long.compareUnsigned(endOfDram - 1, 1L << geometry.physBits()) >= 0) {
      throw new IllegalArgumentException(
          "memory 0x%x-0x%x does not fit a linear map of %d bits and %d physical bits"
              .formatted(startOfDram, endOfDram - 1, geometry.vaBits() - 1, geometry.physBits()));
    }
    // PAGE_OFFSET stays where the wider CPU has it, but memory has to lie where this one can
    // address it: what PAGE_OFFSET stands for goes down, below 0.
    if (geometry.configVaBits() == 52 && geometry.vaBits() != 52) {
      memstart -= (1L << 52) - (1L << geometry.vaBits());
    }
    return memstart;
  }

  /** memstart_addr, PHYS_OFFSET: the physical address that PAGE_OFFSET maps; may be negative. */
  @Kernel(file = "arch/arm64/mm/init.c", symbol = "memstart_addr")
  public long memstartAddr() {
    return memstartAddr;
  }

  /** {@code __phys_to_virt(0)}, which need not be in the linear map: what the machine is told. */
  @Kernel(file = "arch/arm64/include/asm/memory.h", symbol = "__phys_to_virt")
  public long linearBase() {
    return geometry.pageOffset() - memstartAddr;
  }

  /** {@code vmemmap}: the address of the struct page of pfn 0. */
  @Kernel(file = "arch/arm64/include/asm/pgtable.h", symbol = "vmemmap")
  public long vmemmapBase() {
    return geometry.vmemmapBase(config.sizeofStructPage(), memstartAddr);
  }

  /** {@code max_pfn}, as bootmem_init() sets it. */
  @Kernel(file = "arch/arm64/mm/init.c", symbol = "bootmem_init")
  public long maxPfn() {
    return pfnDown(endOfDram);
  }

  private long pfnDown(long paddr) {
    return paddr >>> geometry.pageShift();
  }
}
