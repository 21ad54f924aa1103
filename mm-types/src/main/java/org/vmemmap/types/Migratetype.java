// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.types;

/** {@code enum migratetype}; the ordinal is the kernel's number. */
@Kernel(file = "include/linux/mmzone.h", symbol = "enum migratetype")
public enum Migratetype {
  MIGRATE_UNMOVABLE(0),
  MIGRATE_MOVABLE(1),
  MIGRATE_RECLAIMABLE(2),
  MIGRATE_HIGHATOMIC(3),
  MIGRATE_CMA(4),
  MIGRATE_ISOLATE(5);

  private final int number;

  Migratetype(int number) {
    this.number = number;
  }

  private static final Migratetype[] ALL = values();

  /** MIGRATE_TYPES. */
  public static final int MIGRATE_TYPES = 6;

  /** The type with the kernel's number {@code n}. */
  public static Migratetype of(int n) {
    return ALL[n];
  }

  /** The kernel's number. */
  public int number() {
    return number;
  }
}
