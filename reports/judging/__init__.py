"""How arms are judged: what each run found in each image, precision under image weights, effect and interval."""
