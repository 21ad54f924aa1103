// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.types;

/**
 * A {@code struct list_head *}: the virtual address of two pointers, next and prev, in simulated
 * memory. The list runs through the structures themselves, as in the kernel.
 *
 * @param va virtual address of the next pointer; the prev pointer follows 8 bytes later
 */
@Kernel(file = "include/linux/types.h", symbol = "struct list_head")
public record ListHead(long va) {}
