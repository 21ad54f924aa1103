// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.types;

import java.lang.annotation.Documented;
import java.lang.annotation.ElementType;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;

/** Marks the question in {@link Series} whether the kernel has a change that no patch brings. */
@Documented
@Retention(RetentionPolicy.RUNTIME)
@Target(ElementType.METHOD)
public @interface LaterFix {
  /** Name of the change. */
  String value();
}
