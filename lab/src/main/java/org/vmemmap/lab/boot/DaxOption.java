// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.boot;

import java.util.Set;

/**
 * A device-DAX device that is to be on the machine, as {@code --dax} describes it.
 *
 * @param size bytes of the region
 * @param align bytes of one mapping: 4K, 2M or 1G
 * @param mapDev true when the memmap is to lie in the device ({@code map=dev})
 * @param pmem true for legacy e820 persistent memory, false for soft-reserved memory (hmem)
 * @param node the node that the region belongs to
 */
public record DaxOption(long size, long align, boolean mapDev, boolean pmem, int node) {
  private static final String WANTED =
      "wanted size=SIZE[,align=4K|2M|1G][,map=mem|dev][,kind=hmem|pmem][,node=N]";

  private static final Set<Long> ALIGNS =
      Set.of(
          4L << 10, 16L << 10, 64L << 10, 2L << 20, 16L << 20, 32L << 20, 512L << 20, 1L << 30);

  /** The device that a machine without {@code --dax} gets. */
  public static final DaxOption DEFAULT = new DaxOption(2L << 30, 2L << 20, false, false, 0);

  /** Checks what belongs together. */
  public DaxOption {
    if (!ALIGNS.contains(align)) {
      throw new BadInput("--dax align=" + Sizes.text(align) + ": wanted 4K, 2M or 1G");
    }
    if (size % align != 0) {
      throw new BadInput(
          "--dax size=%s,align=%s: the size is not a multiple of align"
              .formatted(Sizes.text(size), Sizes.text(align)));
    }
    if (mapDev && !pmem) {
      throw new BadInput(
          "--dax map=dev,kind=hmem: soft-reserved memory keeps no memmap, wanted kind=pmem or"
              + " map=mem");
    }
  }

  /** Reads the value of {@code --dax}. @throws BadInput for anything else than documented */
  public static DaxOption parse(String text) {
    long size = 0;
    long align = 2L << 20;
    boolean mapDev = false;
    String kind = "";
    int node = 0;
    for (String part : text.split(",", -1)) {
      String value = part.substring(part.indexOf('=') + 1);
      switch (part.substring(0, Math.max(0, part.indexOf('=')))) {
        case "size" -> size = Sizes.size("--dax size", value);
        case "align" -> align = Sizes.size("--dax align", value);
        case "map" -> mapDev = oneOf("map", value, "mem", "dev").equals("dev");
        case "kind" -> kind = oneOf("kind", value, "hmem", "pmem");
        case "node" -> node = Numbers.parse("--dax node", value, 0, 1023);
        default -> throw new BadInput("--dax " + part + ": " + WANTED);
      }
    }
    if (size == 0) {
      throw new BadInput("--dax " + text + ": no size, " + WANTED);
    }
    return new DaxOption(size, align, mapDev, kind.isEmpty() ? mapDev : kind.equals("pmem"), node);
  }

  private static String oneOf(String key, String value, String a, String b) {
    if (!value.equals(a) && !value.equals(b)) {
      throw new BadInput("--dax " + key + "=" + value + ": wanted " + a + " or " + b);
    }
    return value;
  }

  /** The option's value in full. */
  public String text() {
    return "size=%s,align=%s,map=%s,kind=%s"
        .formatted(
            Sizes.text(size), Sizes.text(align), mapDev ? "dev" : "mem", pmem ? "pmem" : "hmem");
  }
}
