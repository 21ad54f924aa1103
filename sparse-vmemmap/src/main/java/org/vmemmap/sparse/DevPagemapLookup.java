// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.sparse;

import org.jspecify.annotations.Nullable;
import org.vmemmap.types.DevPagemap;
import org.vmemmap.types.Kernel;

/** The upcall from {@code pfn_to_online_page()} into the device memory code. */
@FunctionalInterface
public interface DevPagemapLookup {
  /** {@code get_dev_pagemap()}: the device that the pfn belongs to, with a reference; or null. */
  @Kernel(file = "include/linux/memremap.h", symbol = "get_dev_pagemap")
  @Nullable DevPagemap getDevPagemap(long pfn);

  /** {@code put_dev_pagemap()}: drops the reference, if there is one. */
  @Kernel(file = "include/linux/memremap.h", symbol = "put_dev_pagemap")
  default void putDevPagemap(@Nullable DevPagemap pgmap) {}
}
