// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.types;

/** The value of a page-table entry of any level. */
public sealed interface TableEntry permits Pte, Pmd, Pud, P4d, Pgd {
  /** The entry as software handles it. */
  long val();
}
