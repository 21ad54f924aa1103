// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.sparse;

import org.jspecify.annotations.Nullable;
import org.vmemmap.types.Kernel;

/** {@code enum mmop}: what is to become of a memory block, and the words for it in sysfs. */
@Kernel(file = "include/linux/memory_hotplug.h", symbol = "enum mmop")
public enum Mmop {
  MMOP_OFFLINE("offline"),
  MMOP_ONLINE("online"),
  MMOP_ONLINE_KERNEL("online_kernel"),
  MMOP_ONLINE_MOVABLE("online_movable");

  private final String word;

  Mmop(String word) {
    this.word = word;
  }

  /** The word in sysfs. */
  @Kernel(file = "drivers/base/memory.c", symbol = "mhp_online_type_to_str")
  public String mhpOnlineTypeToStr() {
    return word;
  }

  /** The meaning of a word, one newline behind it allowed; null for -EINVAL. */
  @Kernel(file = "drivers/base/memory.c", symbol = "mhp_online_type_from_str")
  public static @Nullable Mmop mhpOnlineTypeFromStr(String str) {
    String text = str.endsWith("\n") ? str.substring(0, str.length() - 1) : str;
    for (Mmop type : values()) {
      if (type.word.equals(text)) {
        return type;
      }
    }
    return null;
  }
}
